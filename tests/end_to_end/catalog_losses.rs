//! Loss of the catalog at random moments of ingest, merge, vacuum and import: a rebuild, which is
//! killed too, finds every committed sample once.
//!
//! `MARKETLAKE_TEST_CATALOG_LOSSES` says how often, on each base; few where it says nothing, so
//! that the suite stays fast.

use std::path::PathBuf;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_lake::Span;
use sea_orm::ConnectionTrait;

use super::kills::{FILES, Lake, MINUTES, imported, kill, replayed};
use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::program::Program;

const WHOLE: &str = "0 problems, 0 repaired, 0 rows lost\n";

async fn rows(base: &Base) -> Lake {
    let lake = base.lake().await;
    let samples = lake.datafusion().samples(Span::ALL).await.unwrap();
    let count = samples.len();
    let rows: Lake = samples
        .into_iter()
        .map(|sample| ((sample.metric, sample.ts), sample.value))
        .collect();
    assert_eq!(rows.len(), count, "a row stands twice");
    lake.database().clone().close().await.unwrap();
    rows
}

fn program(base: &Base, replay: &str) -> Program {
    let feeds = format!("[{{kind=\"replay\",files=[\"{replay}\"],speed=30000.0}}]");
    Program::on(base)
        .with("MARKETLAKE_FEEDS", feeds)
        .with("MARKETLAKE_JOBS__VACUUM_GRACE_PERIOD", "0s")
}

/// Some seconds of a lake's life, each process killed.
async fn live(base: &Base, program: &Program, files: &[PathBuf]) {
    for _ in 0..1 + rand::random::<u32>() % 4 {
        let file = &files[rand::random::<u32>() as usize % FILES];
        let (arguments, within) = match rand::random::<u32>() % 6 {
            0 | 1 => (vec!["up", "--role", "scheduler"], 2_000),
            2 | 3 => (vec!["import", file.to_str().unwrap()], 900),
            4 => (vec!["compact"], 1_200),
            _ => (vec!["vacuum"], 600),
        };
        kill(program, &arguments, Duration::from_millis(within)).await;
        let database = database::connect(&base.database_url).await.unwrap();
        // Lost before it had its tables.
        let sql = "update job_runs set lease_until = 1 where state = 'running'";
        let _ = database.execute_unprepared(sql).await;
        database.close().await.unwrap();
    }
}

fn copy(from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        let (from, to) = (format!("{from}{end}"), format!("{to}{end}"));
        let _ = std::fs::remove_file(&to);
        if std::fs::exists(&from).unwrap() {
            std::fs::copy(from, to).unwrap();
        }
    }
}

async fn survive(mut base: Base, losses: usize) {
    let mut expected = Lake::new();
    let replay = replayed(&base, &mut expected).display().to_string();
    let files: Vec<PathBuf> = (0..FILES)
        .map(|file| imported(&base, file, &mut expected))
        .collect();
    let is_local = base.store.endpoint.is_none();
    let backup = base.path().join("backup.db").display().to_string();
    let (mut from_backups, mut killed) = (0, 0);
    for loss in 0..losses {
        if is_local && loss % 3 == 1 {
            let file = database::sqlite_file(&base.database_url).unwrap();
            copy(file.to_str().unwrap(), &backup);
        }
        live(&base, &program(&base, &replay), &files).await;
        let committed = rows(&base).await;
        if is_local && loss % 3 == 2 {
            let file = database::sqlite_file(&base.database_url).unwrap();
            copy(&backup, file.to_str().unwrap());
            from_backups += 1;
        } else {
            base.lose_database().await;
        }
        let program = program(&base, &replay);
        let rebuild = ["rebuild-catalog"];
        killed += usize::from(kill(&program, &rebuild, Duration::from_millis(700)).await);
        program.ok(&rebuild).await;
        let found = rows(&base).await;
        for (key, value) in &committed {
            assert_eq!(found.get(key), Some(value), "loss {loss}: {key:?}");
        }
        let invented = found
            .iter()
            .find(|(key, value)| expected.get(key) != Some(value));
        assert_eq!(invented, None, "loss {loss}");
        let checked = program.ok(&["check", "--deep"]).await;
        assert!(checked.ends_with(WHOLE), "loss {loss}: {checked}");
    }
    // Then all of it to its end.
    let program = program(&base, &replay);
    let mut server = program.start(&["up", "--role", "scheduler"]);
    let last = expected.keys().map(|(_, ts)| *ts).max();
    let lake = base.lake().await;
    let (all, mut live) = (usize::try_from(5 * MINUTES).unwrap(), 0);
    while live < all || lake.newest().await.unwrap() != last {
        // However slow the machine is, as long as it goes on.
        live = eventually("more minutes to be ingested", async || {
            let samples = lake.datafusion().samples(Span::ALL).await.ok()?;
            let samples = samples.iter().filter(|s| s.metric.market() == "live");
            let now = samples.count();
            (now > live || now == all).then_some(now)
        })
        .await;
    }
    server.interrupt().await;
    for file in &files {
        program.ok(&["import", file.to_str().unwrap()]).await;
    }
    program.ok(&["compact"]).await;
    program.ok(&["vacuum"]).await;
    assert!(lake.maintenance().check(DEEP).await.unwrap().is_whole());
    assert!(rows(&base).await == expected, "another lake than was sent");
    eprintln!(
        "{}: {losses} catalog losses, {from_backups} of them to a backup, {killed} rebuilds killed",
        base.name
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_lost_at_any_moment_is_rebuilt_with_every_committed_sample_once() {
    let losses = std::env::var("MARKETLAKE_TEST_CATALOG_LOSSES").ok();
    let losses = losses.map_or(3, |losses| losses.parse().unwrap());
    on_both(async |base: Base| survive(base, losses).await).await;
}
