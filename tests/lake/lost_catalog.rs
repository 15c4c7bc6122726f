//! A catalog that is gone, or older than its store: nothing is written, nothing is deleted.

use std::path::Path;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_lake::{LakeError, MismatchError, Severity, VacuumSummary, diagnose_identity};
use marketlake_model::Millis;
use sea_orm::ConnectionTrait;

use super::{compact_days, ingest};
use crate::support::base::{Base, on_both};
use crate::support::program::Program;
use crate::support::samples::{sample, series};
use crate::support::{DEEP, SHALLOW};

/// Forgets everything, as a lost database does.
async fn lose(base: &Base, tables: &[&str]) {
    let database = base.database().await;
    for table in tables {
        let sql = format!("delete from {table}");
        database.execute_unprepared(&sql).await.unwrap();
    }
}

const ALL: [&str; 4] = ["segments", "upload_intents", "lake_identity", "metrics"];

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_lost_everything_writes_and_deletes_nothing() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2", "3"])).await;
        compact_days(&lake).await;
        let files = base.object_files();
        lose(&base, &ALL).await;
        let empty = base.lake().await;
        let vacuumed = empty
            .maintenance()
            .vacuum(Millis(i64::MAX), Duration::ZERO)
            .await;
        assert_eq!(vacuumed.unwrap(), VacuumSummary::default());
        assert!(matches!(
            empty.maintenance().prepare_writes().await,
            Err(LakeError::Mismatch(MismatchError::UnknownDatabase { .. }))
        ));
        let report = empty.maintenance().check(DEEP).await.unwrap();
        assert_eq!(report.unknown, files.len());
        assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
        assert_eq!(base.object_files(), files);
        // The same where the store's identity is lost, too: nobody else becomes its owner.
        std::fs::remove_file(base.objects().join("lake.json")).unwrap();
        for refused in [
            empty.maintenance().prepare_writes().await,
            empty
                .ingest()
                .stage_minute(vec![sample("a:one", 9, "9")])
                .await
                .map(drop),
        ] {
            let error = refused.unwrap_err();
            assert!(
                matches!(
                    error,
                    LakeError::Mismatch(MismatchError::EmptyCatalog { .. })
                ),
                "{error}"
            );
            assert!(
                error.to_string().contains("marketlake rebuild-catalog"),
                "{error}"
            );
        }
        assert!(!base.objects().join("lake.json").exists());
        assert_eq!(base.object_files(), files);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_lost_its_last_commits_writes_nothing() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2"])).await;
        lake.maintenance().prepare_writes().await.unwrap();
        ingest(&lake, &series("a:one", 2, &["3", "4"])).await;
        let files = base.object_files();
        let lost =
            "delete from segments where id in (select id from segments order by id desc limit 2)";
        lake.database().execute_unprepared(lost).await.unwrap();
        let older = base.lake().await;
        let error = older.maintenance().prepare_writes().await.unwrap_err();
        let expected = matches!(
            error,
            LakeError::Mismatch(MismatchError::LostCommits { count: 2, .. })
        );
        assert!(expected, "{error}");
        assert!(error.to_string().contains("marketlake check"), "{error}");
        let finding = diagnose_identity(older.database(), older.store()).await;
        assert_eq!(finding.severity, Severity::Bad, "{finding:?}");
        older
            .maintenance()
            .vacuum(Millis(i64::MAX), Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(base.object_files(), files);
        assert_eq!(older.maintenance().check(SHALLOW).await.unwrap().unknown, 2);
        // It can be read.
        assert_eq!(older.stats().await.unwrap().samples, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_leaves_keeps_no_start_from_writing() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        // The first minute ever, and one after that.
        drop(
            lake.ingest()
                .stage_minute(vec![sample("a:one", 0, "1")])
                .await
                .unwrap(),
        );
        base.lake()
            .await
            .maintenance()
            .prepare_writes()
            .await
            .unwrap();
        ingest(&lake, &series("a:one", 0, &["1", "2"])).await;
        drop(
            lake.ingest()
                .stage_minute(vec![sample("a:one", 2, "3")])
                .await
                .unwrap(),
        );
        drop(
            lake.ingest()
                .stage_compaction(crate::support::samples::start())
                .await
                .unwrap(),
        );
        let next = base.lake().await;
        next.maintenance().prepare_writes().await.unwrap();
        assert_eq!(
            next.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
        // Half-way through a vacuum, too.
        compact_days(&next).await;
        next.maintenance()
            .vacuum(Millis(i64::MAX), Duration::ZERO)
            .await
            .unwrap();
        base.lake()
            .await
            .maintenance()
            .prepare_writes()
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_beside_a_writer_that_runs_is_not_refused() {
    on_both(async |base: Base| {
        let (lake, other) = (base.lake().await, base.lake().await);
        let writing = async {
            for at in 0..40 {
                ingest(&lake, &[sample("a:one", at, "1")]).await;
            }
        };
        let starting = async {
            for _ in 0..20 {
                other.maintenance().prepare_writes().await.unwrap();
            }
        };
        tokio::join!(writing, starting);
    })
    .await;
}

fn folder(base: &Base) -> std::path::PathBuf {
    base.path().join("lost")
}

fn program(base: &Base) -> Program {
    Program::bare()
        .with("MARKETLAKE_DATA", folder(base).display())
        .with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]")
        .with("MARKETLAKE_SERVER__LISTEN", "127.0.0.1:0")
        .with("MARKETLAKE_JOBS__VACUUM_GRACE_PERIOD", "0s")
}

fn remove(data: &Path) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(data.join(format!("marketlake.db{end}")));
    }
}

/// The attacks by which a lake was deleted, with the program itself.
#[tokio::test(flavor = "multi_thread")]
async fn up_refuses_a_database_that_was_removed_emptied_or_restored_and_nothing_is_lost() {
    let base = Base::local().await;
    let (program, data) = (program(&base), folder(&base));
    let slot = |minute: u32| format!("2026-11-24T10:{minute:02}:00Z");
    for minute in 0..3 {
        program
            .ok(&["run", "ingest-minute", "--slot", &slot(minute)])
            .await;
    }
    let db = data.join("marketlake.db");
    let backup = base.path().join("backup.db");
    snapshot(&db, &backup).await;
    for minute in 3..6 {
        program
            .ok(&["run", "ingest-minute", "--slot", &slot(minute)])
            .await;
    }
    let newest = base.path().join("newest.db");
    snapshot(&db, &newest).await;
    let files = walk(&data.join("lake"));
    assert_eq!(files.len(), 6 + 1, "{files:?}");
    let attacks: [(&str, &dyn Fn()); 3] = [
        ("marketlake rebuild-catalog", &|| remove(&data)),
        ("marketlake rebuild-catalog", &|| {
            remove(&data);
            std::fs::write(&db, b"").unwrap();
        }),
        ("marketlake check --repair", &|| {
            remove(&data);
            std::fs::copy(&backup, &db).unwrap();
        }),
    ];
    let commands: [&[&str]; 6] = [
        &["up"],
        &["up", "--role", "scheduler"],
        &["vacuum"],
        &["compact"],
        &["run", "vacuum", "--slot", "2026-11-24T10:00:00Z"],
        &["demo", "--for", "1s"],
    ];
    for (advice, attack) in attacks {
        attack();
        for command in commands {
            let said = program.run(command).await;
            assert_eq!(said.code, 1, "{command:?}: {said:?}");
            assert!(said.err.contains(advice), "{command:?}: {said:?}");
            assert!(said.err.contains("lake"), "{command:?}: {said:?}");
        }
        let check = program.run(&["check"]).await;
        assert_eq!(check.code, 1, "{check:?}");
        let doctor = program.run(&["doctor"]).await;
        assert_eq!(doctor.code, 1, "{doctor:?}");
        // Reading goes on where there is something to read: an empty list would pass for a lake.
        let read = program.run(&["metrics"]).await;
        let is_lost = advice.ends_with("rebuild-catalog");
        assert_eq!(read.code, i32::from(is_lost), "{read:?}");
        assert!(!is_lost || read.err.contains(advice), "{read:?}");
        assert_eq!(walk(&data.join("lake")), files);
    }
    remove(&data);
    std::fs::copy(&newest, &db).unwrap();
    program.ok(&["vacuum"]).await;
    program.ok(&["check", "--deep"]).await;
    assert_eq!(walk(&data.join("lake")), files);
}

/// A backup of a database, with what its log holds.
async fn snapshot(from: &Path, to: &Path) {
    let database = database::connect(&database::sqlite_url(from))
        .await
        .unwrap();
    let sql = format!("vacuum into '{}'", to.display());
    database.execute_unprepared(&sql).await.unwrap();
    database.close().await.unwrap();
}

/// Every file but the lock.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else if !path.ends_with("lake.lock") {
            found.push(path);
        }
    }
    found.sort();
    found
}
