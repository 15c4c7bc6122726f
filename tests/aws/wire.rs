//! S3 over a bad connection, and one that refuses: the same lake in the end, and errors that say
//! what to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use marketlake_model::Millis;

use crate::lake::faults::{history, live_rows};
use crate::lake::{compact_days, import, ingest};
use crate::support::DEEP;
use crate::support::athena::Standin;
use crate::support::base::Base;
use crate::support::program::Program;
use crate::support::samples::series;
use crate::support::wire::{Weather, Wire};

async fn behind_a_wire() -> (Base, Arc<Wire>) {
    let mut base = Base::remote().await;
    let endpoint = base.store.endpoint.as_deref().unwrap();
    let wire = Wire::to(endpoint).await;
    base.store.endpoint = Some(wire.endpoint.clone());
    (base, wire)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_come_late_or_lose_their_answers_leave_the_same_lake() {
    let other = Base::remote().await;
    let calm = other.lake().await;
    let (base, wire) = behind_a_wire().await;
    let lake = base.lake().await;
    wire.set(Weather::Stormy);
    for lake in [&calm, &lake] {
        ingest(lake, &history()).await;
        import(lake, &series("c:three", 0, &["9"])).await;
        compact_days(lake).await;
    }
    let standin = Standin::of(&base, 1).await;
    lake.connect_athena(
        standin.options.clone(),
        marketlake_lake::AthenaPolicy::default(),
    )
    .unwrap();
    crate::support::athena::publish(&lake).await;
    assert_eq!(live_rows(&lake).await, live_rows(&calm).await);
    assert_eq!(
        lake.maintenance().check(DEEP).await.unwrap().problems,
        Vec::<String>::new()
    );
    let vacuumed = lake
        .maintenance()
        .vacuum(Millis(i64::MAX), Duration::ZERO)
        .await;
    vacuumed.unwrap();
    // The day's samples and rollups.
    assert_eq!(base.object_files().len(), 2);
    assert!(wire.disturbed() > 15, "{} calls", wire.disturbed());
    eprintln!("{} calls were disturbed", wire.disturbed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusing_bucket_fails_the_slot_with_advice_and_the_slot_is_done_later() {
    let kinds = [
        (400, "ExpiredToken", "marketlake doctor"),
        (403, "AccessDenied", "marketlake doctor"),
        (403, "RequestTimeTooSkewed", "clock"),
        (404, "NoSuchBucket", "store.url"),
        (503, "SlowDown", "throttles requests"),
    ];
    let each = kinds.map(|(status, code, advice)| async move {
        let (base, wire) = behind_a_wire().await;
        let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
        let slot = "2026-11-24T10:31:00Z";
        let run = ["run", "ingest-minute", "--slot", slot];
        program.ok(&["migrate"]).await;
        wire.set(Weather::Refused(status, code));
        let begun = Instant::now();
        let said = program.run(&run).await;
        eprintln!("{code}, {:?}: {}", begun.elapsed(), said.err);
        assert_ne!(said.code, 0, "{code}: {said:?}");
        assert!(said.err.contains(advice), "{code}: {said:?}");
        assert!(begun.elapsed() < Duration::from_secs(120), "{code}");
        wire.set(Weather::Calm);
        let said = program.run(&run).await;
        assert_eq!(said.code, 0, "{code}: {said:?}");
        let deep = program.ok(&["check", "--deep"]).await;
        assert!(deep.contains("1 segments"), "{deep}");
    });
    futures::future::join_all(each).await;
}
