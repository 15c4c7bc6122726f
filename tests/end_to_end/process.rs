//! Processes: two at once, and how one ends.

use std::collections::BTreeMap;
use std::time::Duration;

use marketlake_entities::records::job_runs::{self, JobRunState};
use sea_orm::EntityTrait;

use super::{history, replaying, wait_for_minutes};
use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::program::Program;
use crate::support::{eventually, samples};

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_postgres_do_each_of_ten_slots_once() {
    let base = Base::remote().await;
    let file = history(&base, 10, None);
    // A minute a second.
    let program = replaying(&base, &[file], 60);
    let (mut one, mut two) = tokio::join!(program.up(&[]), program.up(&[]));
    let database = base.database().await;
    wait_for_minutes(&database, 10).await;
    let (first, second) = tokio::join!(one.interrupt(), two.interrupt());
    assert_eq!((first.0, second.0), (0, 0));
    let rows = job_runs::Entity::find().all(&database).await.unwrap();
    let mut by_worker: BTreeMap<String, usize> = BTreeMap::new();
    for job in ["ingest-minute", "detect-jumps"] {
        let of_job: Vec<_> = rows.iter().filter(|row| row.job == job).collect();
        assert_eq!(of_job.len(), 10);
        for row in of_job {
            assert_eq!(
                (row.state, row.attempts, row.token),
                (JobRunState::Done, 1, 1),
                "{row:?}"
            );
            *by_worker.entry(row.worker.clone().unwrap()).or_default() += 1;
        }
    }
    eprintln!("slots by process: {by_worker:?}");
    let lake = base.lake().await;
    assert_eq!(lake.stats().await.unwrap().samples, 20);
    assert_eq!(
        lake.maintenance().check(DEEP).await.unwrap().problems,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_may_start_on_an_empty_database_at_once() {
    on_both(async |base: Base| {
        let program = Program::on(&base);
        let starts = (0..6).map(|_| program.ok(&["check"]));
        for out in futures::future::join_all(starts).await {
            assert!(out.starts_with("check: 0 segments"), "{out}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_finishes_what_runs_and_ends_within_ten_seconds() {
    on_both(async |base: Base| {
        let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
        let mut server = program.up(&[]).await;
        let database = base.database().await;
        eventually("a minute", async || {
            let rows = job_runs::Entity::find().all(&database).await.unwrap();
            rows.iter()
                .any(|row| row.job == "detect-jumps" && row.state == JobRunState::Done)
                .then_some(())
        })
        .await;
        let (code, took) = server.interrupt().await;
        assert_eq!(code, 0, "{}", server.end_log());
        assert!(took < Duration::from_secs(10), "{took:?}");
        let rows = job_runs::Entity::find().all(&database).await.unwrap();
        assert!(
            rows.iter().all(|row| row.state != JobRunState::Running),
            "{rows:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_start_that_waits_for_a_lock() {
    let base = Base::local().await;
    let folder = base.path().join("lake");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::File::create(folder.join("lake.lock")).unwrap();
    lock.lock().unwrap();
    let program = Program::on(&base).in_background();
    let mut server = program.start(&["up", "--role", "scheduler"]);
    let database = base.path().join("marketlake.db");
    eventually("the start to get on", async || {
        database.exists().then_some(())
    })
    .await;
    let (code, took) = server.interrupt().await;
    assert_eq!(code, 0, "{}", server.end_log());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!folder.join("lake.json").exists(), "it did not wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_with_a_summary_and_keeps_away_from_real_data() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let out = program.ok(&["demo", "--for", "3s"]).await;
    assert!(
        out.contains("on a SIMULATED market, answers at http://127.0.0.1:"),
        "{out}"
    );
    let summary = out.lines().last().unwrap();
    assert!(
        summary.starts_with("demo: ")
            && summary.contains(" slots run, ")
            && summary.contains(" of 80 metrics, "),
        "{summary}"
    );
    let day = program.json(&["timeseries", "hottry"]).await;
    assert_eq!(day.as_array().unwrap().len(), 1_440, "no minute is missing");

    let real = Base::local().await;
    let lake = real.lake().await;
    crate::lake::ingest(&lake, &[samples::sample("binance:hottry", 0, "1")]).await;
    let refused = Program::on(&real).run(&["demo", "--for", "1s"]).await;
    assert_eq!(refused.code, 2);
    assert!(
        refused
            .err
            .contains("holds real data (binance:hottry); choose another folder with --data"),
        "{refused:?}"
    );
}
