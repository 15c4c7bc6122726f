//! The drills of docs/operations.md: backup, restore and disaster recovery, by the commands that it
//! names.

use std::path::Path;
use std::process::Command;

use marketlake_entities::database;
use marketlake_entities::records::{signing_keys, subscriptions};
use marketlake_lake::Span;
use sea_orm::{ConnectionTrait, EntityTrait};

use super::{history, replaying, runs};
use crate::support::base::{Base, fresh_postgres, on_both};
use crate::support::eventually;
use crate::support::program::Program;

const WHOLE: &str = "0 problems, 0 repaired, 0 rows lost\n";

/// Runs a tool to its good end.
fn tool(name: &str, arguments: &[&str]) {
    let output = Command::new(name).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {said}");
}

/// Ingests until a number of minutes is there, then stops.
async fn ingest(base: &Base, program: &Program, minutes: i64) {
    let database = base.database().await;
    let mut server = program.start(&["up", "--role", "scheduler"]);
    let mut done = -1;
    while done < minutes {
        // However slow the machine is, as long as it goes on.
        done = eventually("more minutes to be ingested", async || {
            let now = runs(&database, "ingest-minute", "done").await;
            (now > done).then_some(now)
        })
        .await;
    }
    server.interrupt().await;
    database.close().await.unwrap();
}

async fn samples(base: &Base) -> usize {
    let lake = base.lake().await;
    let samples = lake.datafusion().samples(Span::ALL).await.unwrap();
    lake.database().clone().close().await.unwrap();
    samples.len()
}

fn dump_of(base: &Base, to: &Path) {
    tool(
        "pg_dump",
        &[
            "--format=custom",
            "--file",
            to.to_str().unwrap(),
            &base.database_url,
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_backup_of_sqlite_or_postgres_is_restored_and_nothing_committed_is_lost() {
    on_both(async |mut base: Base| {
        let file = history(&base, 90, None);
        let slow = replaying(&base, std::slice::from_ref(&file), 3_000);
        ingest(&base, &slow, 25).await;
        let backup = base.path().join("backup");
        let is_local = base.store.endpoint.is_none();
        if is_local {
            let database = base.database().await;
            let sql = format!("vacuum into '{}'", backup.display());
            database.execute_unprepared(&sql).await.unwrap();
            database.close().await.unwrap();
        } else {
            dump_of(&base, &backup);
        }
        // Life goes on: more minutes, merged hours, and their sources deleted.
        ingest(&base, &slow, 70).await;
        slow.ok(&["compact"]).await;
        let sweeping = slow
            .clone()
            .with("MARKETLAKE_JOBS__VACUUM_GRACE_PERIOD", "0s");
        sweeping.ok(&["vacuum"]).await;
        let before = samples(&base).await;
        if is_local {
            let file = database::sqlite_file(&base.database_url).unwrap();
            for end in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{end}", file.display()));
            }
            std::fs::copy(&backup, file).unwrap();
        } else {
            base.database_url = fresh_postgres().await;
            let database = format!("--dbname={}", base.database_url);
            tool("pg_restore", &[&database, backup.to_str().unwrap()]);
        }
        let restored = replaying(&base, &[file], 3_000);
        let said = restored.ok(&["rebuild-catalog"]).await;
        assert!(said.contains(" 0 lost; "), "{said}");
        assert_eq!(samples(&base).await, before);
        let checked = restored.ok(&["check", "--deep"]).await;
        assert!(checked.ends_with(WHOLE), "{checked}");
        // And on it goes.
        ingest(&base, &restored, 90).await;
        assert_eq!(samples(&base).await, 180);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_is_rebuilt_and_its_subscriptions_and_keys_come_from_their_exports() {
    on_both(async |mut base: Base| {
        let file = history(&base, 30, None);
        let program = replaying(&base, std::slice::from_ref(&file), 30_000);
        let create = ["subscriptions", "create", "--address", "me@example.com"];
        for metric in ["ethbtc", "bittrex:*"] {
            program
                .ok(&[&create[..], &["--metric", metric]].concat())
                .await;
        }
        let key = program.ok(&["keys", "create", "dashboard"]).await;
        program.ok(&["signing-keys", "rotate"]).await;
        ingest(&base, &program, 30).await;
        let exports = ["subscriptions.jsonl", "keys.jsonl"].map(|name| base.path().join(name));
        let [subscribed, keys] = exports.each_ref().map(|path| path.to_str().unwrap());
        program.ok(&["subscriptions", "export", subscribed]).await;
        program.ok(&["keys", "export", keys]).await;
        #[cfg(unix)]
        for path in &exports {
            let mode = std::fs::metadata(path).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
            assert_eq!(mode & 0o777, 0o600, "{path:?}");
        }
        let secret = key.trim();
        assert!(!std::fs::read_to_string(keys).unwrap().contains(secret));
        let database = base.database().await;
        let all = subscriptions::Entity::find().all(&database).await.unwrap();
        let signing = signing_keys::Entity::find().all(&database).await.unwrap();
        database.close().await.unwrap();
        base.lose_database().await;
        let program = replaying(&base, &[file], 30_000);
        let said = program.ok(&["rebuild-catalog"]).await;
        assert!(said.contains("60 rows added, 0 corrected"), "{said}");
        for _ in 0..2 {
            program.ok(&["subscriptions", "import", subscribed]).await;
            program.ok(&["keys", "import", keys]).await;
        }
        let said = program.ok(&["keys", "import", keys]).await;
        assert!(said.starts_with("import: 1 rows, 0 of them new"), "{said}");
        let database = base.database().await;
        let mut found = subscriptions::Entity::find().all(&database).await.unwrap();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        let mut all = all;
        all.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(found, all);
        let kept = signing_keys::Entity::find().all(&database).await.unwrap();
        assert!(signing.iter().all(|key| kept.contains(key)));
        // The key is accepted as before.
        let strict = program.clone().with("MARKETLAKE_AUTH__MODE", "keys");
        let server = strict.up(&["--role", "api"]).await;
        let request = reqwest::Client::new()
            .get(server.url("/v1/metrics"))
            .bearer_auth(secret);
        assert_eq!(request.send().await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_write_ahead_log_costs_no_sample() {
    let base = Base::local().await;
    let file = history(&base, 40, None);
    let program = replaying(&base, &[file], 30_000);
    ingest(&base, &program, 20).await;
    // A copy of the file alone, as a careless backup makes it, while commits go on.
    let path = database::sqlite_file(&base.database_url).unwrap();
    let database = base.database().await;
    let copy = base.path().join("careless.db");
    std::fs::copy(&path, &copy).unwrap();
    database.close().await.unwrap();
    ingest(&base, &program, 40).await;
    program.ok(&["compact"]).await;
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
    std::fs::copy(&copy, &path).unwrap();
    program.ok(&["rebuild-catalog"]).await;
    assert_eq!(samples(&base).await, 80);
    let checked = program.ok(&["check", "--deep"]).await;
    assert!(checked.ends_with(WHOLE), "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_objects_are_counted_and_what_a_copy_brings_back_is_whole_again() {
    on_both(async |base: Base| {
        let file = history(&base, 20, None);
        let program = replaying(&base, &[file], 30_000);
        ingest(&base, &program, 20).await;
        let raw = base.object_files();
        let aside = base.path().join("copy.parquet");
        std::fs::rename(&raw[7], &aside).unwrap();
        let said = program.run(&["check"]).await;
        assert!(said.code != 0 && said.out.contains("the object is missing"));
        // Restored from a copy of the store, the lake is whole.
        std::fs::copy(&aside, &raw[7]).unwrap();
        let checked = program.ok(&["check", "--deep"]).await;
        assert!(checked.ends_with(WHOLE), "{checked}");
        // Gone for good, its rows are counted.
        std::fs::remove_file(&raw[7]).unwrap();
        let said = program.run(&["check", "--deep", "--repair"]).await;
        assert!(
            said.code != 0 && said.out.ends_with("2 rows lost\n"),
            "{said:?}"
        );
        let checked = program.ok(&["check", "--deep"]).await;
        assert!(checked.ends_with(WHOLE), "{checked}");
        assert_eq!(samples(&base).await, 38);
    })
    .await;
}
