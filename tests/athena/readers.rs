//! Manifests as external SQL reads them, without the catalog.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use marketlake_entities::database;
use marketlake_lake::{CheckOptions, Lake, QueryEngine, Span};
use marketlake_model::{Millis, Sample};

use super::Fixture;
use crate::lake::{compact_all, compact_days, import, ingest};
use crate::support::DEEP;
use crate::support::athena::publish;
use crate::support::samples::{metric, sample, series, start};

const COUNT: &str = "select count(*), count(distinct metric || cast(ts as varchar)) from samples \
    where dt between '2026-11-24' and '2026-11-26'";

async fn now(lake: &Lake) -> Millis {
    database::clock(lake.database()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_every_50_ms_sees_each_row_once_while_hours_and_days_are_merged() {
    let fixture = Fixture::new(1).await;
    let (lake, standin) = (&fixture.lake, &fixture.standin);
    for at in [60, 120] {
        let minutes: Vec<String> = (0..30).map(|minute| format!("{minute}.5")).collect();
        let minutes: Vec<&str> = minutes.iter().map(String::as_str).collect();
        ingest(lake, &series("c:three", at, &minutes)).await;
    }
    publish(lake).await;
    let (rows, done, looks) = (65, AtomicBool::new(false), AtomicUsize::new(0));
    let reading = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while !done.load(Ordering::Relaxed) {
            ticks.tick().await;
            let found = standin.query(COUNT).await;
            let text = rows.to_string();
            assert_eq!(found["rows"][0], serde_json::json!([text, text]), "{found}");
            looks.fetch_add(1, Ordering::Relaxed);
        }
    };
    let merging = async {
        for round in 0..15 {
            compact_all(lake).await;
            publish(lake).await;
            // A corrected value writes its hour, later its day, anew.
            let corrected = sample("c:three", 61 + round, "99.5");
            ingest(lake, &[corrected]).await;
            publish(lake).await;
            if round == 7 {
                compact_days(lake).await;
                publish(lake).await;
            }
            let before = looks.load(Ordering::Relaxed);
            let more = async || (looks.load(Ordering::Relaxed) > before + 2).then_some(());
            crate::support::eventually("the reader", more).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(reading, merging);
    let span = Span {
        from: start(),
        to: start().plus(200),
    };
    let points = fixture.athena.timeseries(&metric("c:three"), span).await;
    assert_eq!(points.unwrap().len(), 60);
    eprintln!("{} looks", looks.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_day_of_a_history_is_published_once() {
    let fixture = Fixture::new(1).await;
    let history: Vec<Sample> = (1..=40)
        .map(|day| sample("a:one", -1_440 * day, "1"))
        .collect();
    import(&fixture.lake, &history).await;
    assert_eq!(publish(&fixture.lake).await, 41);
    assert_eq!(publish(&fixture.lake).await, 0);
    let sql =
        "select count(*), min(dt) from samples where dt between '2026-10-01' and '2026-11-24'";
    let found = fixture.standin.query(sql).await;
    assert_eq!(found["rows"], serde_json::json!([["45", "2026-10-15"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_somebody_deleted_or_changed_is_found_and_written_anew() {
    let fixture = Fixture::new(1).await;
    publish(&fixture.lake).await;
    let folder = fixture.base.objects().join("athena/samples/dt=2026-11-24");
    let file = folder.join("symlink.txt");
    for damage in [None, Some("s3://lake/some/prefix/raw/nothing.parquet\n")] {
        match damage {
            None => std::fs::remove_file(&file).unwrap(),
            Some(text) => std::fs::write(&file, text).unwrap(),
        }
        assert_eq!(publish(&fixture.lake).await, 0);
        let report = fixture.lake.maintenance().check(DEEP).await.unwrap();
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        let advice = "symlink.txt";
        assert!(report.problems[0].contains(advice), "{:?}", report.problems);
        let repair = CheckOptions {
            deep: true,
            repair: true,
        };
        let report = fixture.lake.maintenance().check(repair).await.unwrap();
        assert_eq!(report.repairs.len(), 1);
        assert_eq!(fixture.standin.query(COUNT).await["rows"][0][0], "5");
        let report = fixture.lake.maintenance().check(DEEP).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
    let now = now(&fixture.lake).await;
    let again = fixture.lake.publish_manifests(now, true).await;
    assert_eq!(again.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_and_rollups_are_there_for_others_sql() {
    let fixture = Fixture::new(1).await;
    publish(&fixture.lake).await;
    let found = fixture
        .standin
        .query(
            "select metric, min(value), max(value), sum(value) from prices where dt = \
            '2026-11-24' group by metric order by metric",
        )
        .await;
    let expected = serde_json::json!([
        ["a:one", "1.5", "3.5", "7.5"],
        ["b:two", "7.0", "8.0", "15.0"]
    ]);
    assert_eq!(found["rows"], expected, "{found}");
    let found = fixture
        .standin
        .query(
            "select metric, \"count\", mean, last_unscaled / power(1e1, last_scale) from \
            rollups where dt = '2026-11-24' order by metric",
        )
        .await;
    let expected = serde_json::json!([["a:one", "3", "2.5", "3.5"], ["b:two", "2", "7.5", "8.0"]]);
    assert_eq!(found["rows"], expected, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_what_was_never_committed() {
    let fixture = Fixture::new(1).await;
    publish(&fixture.lake).await;
    let staged = fixture
        .lake
        .ingest()
        .stage_minute(vec![sample("a:one", 61, "5")])
        .await
        .unwrap();
    assert_eq!(staged.row_count(), 1);
    publish(&fixture.lake).await;
    let found = fixture.standin.query(COUNT).await;
    assert_eq!(found["rows"][0][0], "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_publish_at_once_leave_what_is_live() {
    let fixture = Fixture::new(1).await;
    let lake = &fixture.lake;
    let other = fixture.base.lake().await;
    let writing = async {
        for at in 60..90 {
            ingest(lake, &[sample("a:one", at, "5")]).await;
            let now = now(lake).await;
            lake.publish_manifests(now, false).await.unwrap();
        }
    };
    let beside = async {
        for _ in 0..30 {
            let now = now(&other).await;
            other.publish_manifests(now, false).await.unwrap();
        }
    };
    tokio::join!(writing, beside);
    publish(lake).await;
    let file = fixture
        .base
        .objects()
        .join("athena/samples/dt=2026-11-24/symlink.txt");
    let text = std::fs::read_to_string(file).unwrap();
    let listed: BTreeSet<&str> = text.lines().collect();
    assert_eq!(listed.len(), text.lines().count());
    let live = lake.segment_ids(Span::ALL).await.unwrap().len();
    assert_eq!(listed.len(), live);
    assert_eq!(fixture.standin.query(COUNT).await["rows"][0][0], "35");
    assert_eq!(publish(lake).await, 0, "nothing is left to write");
}

/// Files below `results/`.
fn results(fixture: &Fixture) -> usize {
    let folder = std::fs::read_dir(fixture.base.objects().join("results"));
    let files = folder.into_iter().flatten().flatten();
    files.filter(|entry| entry.path().is_file()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_leaves_what_a_reader_may_come_upon_and_every_manifest() {
    let fixture = Fixture::new(1).await;
    let lake: &Arc<Lake> = &fixture.lake;
    ingest(lake, &[sample("a:one", 60, "5"), sample("a:one", 61, "6")]).await;
    publish(lake).await;
    compact_all(lake).await;
    let later = |minutes: u64| Duration::from_secs(60 * minutes);
    // An hour after the merge it comes out that nobody published.
    let hour_on = now(lake).await.plus(later(61));
    assert!(results(&fixture) >= 3);
    let vacuumed = lake.maintenance().vacuum(hour_on, later(60)).await.unwrap();
    // Results of queries go; the merged minutes stay, for those who read by what was published
    // last.
    assert_eq!(vacuumed.retired, 0, "{vacuumed}");
    assert!(vacuumed.unlisted >= 3, "{vacuumed}");
    assert_eq!(results(&fixture), 0);
    assert_eq!(fixture.standin.query(COUNT).await["rows"][0][0], "7");
    // Readers that began before then have had their time.
    let vacuumed = lake
        .maintenance()
        .vacuum(hour_on.plus(later(61)), later(60))
        .await;
    assert_eq!(vacuumed.unwrap().retired, 5);
    assert_eq!(fixture.standin.query(COUNT).await["rows"][0][0], "7");
    let report = lake.maintenance().check(DEEP).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}
