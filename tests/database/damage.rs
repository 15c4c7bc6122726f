//! A `SQLite` file that lost its `-wal`, is damaged, or cannot be written: what is said of it, and
//! what a command leaves behind.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use marketlake_entities::database;

use crate::end_to_end::{history, replaying, wait_for_minutes};
use crate::support::base::Base;
use crate::support::eventually;
use crate::support::program::{Program, Said};

/// One of each kind: reading, writing, of records, of the database itself.
const COMMANDS: [&[&str]; 9] = [
    &["metrics"],
    &["rank", "ethbtc"],
    &["timeseries", "ethbtc"],
    &["check"],
    &["vacuum"],
    &["migrate"],
    &["rebuild-catalog"],
    &["subscriptions", "list"],
    &["up"],
];
const WAYS_OUT: [&str; 2] = ["restore a backup", "marketlake rebuild-catalog"];

/// A lake of some minutes in a base, and its program.
async fn lake(base: &Base) -> Program {
    let file = history(base, 20, None);
    let program = replaying(base, &[file], 30_000);
    let database = base.database().await;
    let mut server = program.start(&["up", "--role", "scheduler"]);
    wait_for_minutes(&database, 20).await;
    database.close().await.unwrap();
    server.interrupt().await;
    program
}

fn file(base: &Base) -> PathBuf {
    database::sqlite_file(&base.database_url).unwrap()
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_names_the_cause_and_the_way_out_of_a_damaged_file() {
    let base = Base::local().await;
    let program = lake(&base).await;
    let path = file(&base);
    let whole = std::fs::read(&path).unwrap();
    let torn_head = [&b"not a database, not even a bit of it"[..], &whole[36..]].concat();
    // A lost log leaves pages of different times.
    let mut lost_pages = whole.clone();
    let page = 4_096;
    for at in (page..whole.len()).step_by(page) {
        lost_pages[at..at + 64].fill(0xa5);
    }
    for damaged in [torn_head, lost_pages] {
        std::fs::write(&path, &damaged).unwrap();
        for arguments in COMMANDS {
            let said = program.run(arguments).await;
            assert_ne!(said.code, 0, "{arguments:?}: {said:?}");
            for way in WAYS_OUT {
                assert!(said.err.contains(way), "{arguments:?}: {said:?}");
            }
            let once = said.err.matches("docs/operations.md").count();
            assert_eq!(once, 1, "{arguments:?}: {said:?}");
        }
        let examined = program.run(&["doctor", "--format", "csv"]).await;
        assert_eq!(examined.code, 1, "{examined:?}");
        assert!(examined.out.contains(WAYS_OUT[1]), "{examined:?}");
    }
    // The way out.
    std::fs::rename(&path, beside(&path, ".damaged")).unwrap();
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(beside(&path, end));
    }
    program.ok(&["rebuild-catalog"]).await;
    let checked = program.ok(&["check", "--deep"]).await;
    assert!(checked.contains(" 40 rows,"), "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_leaves_no_write_ahead_log_unless_another_process_is_there() {
    let base = Base::local().await;
    let program = lake(&base).await;
    let path = file(&base);
    let left = || ["-wal", "-shm"].map(|end| beside(&path, end).exists());
    assert_eq!(left(), [false, false], "a scheduler that was stopped");
    let subscribe = [
        "subscriptions",
        "create",
        "--metric",
        "ethbtc",
        "--address",
        "a@example.com",
    ];
    let failing = ["rank", "no-such-metric"];
    for (arguments, works) in [
        (&subscribe[..], true),
        (&["metrics"][..], true),
        (&["compact"][..], true),
        (&["check"][..], true),
        (&["doctor"][..], true),
        (&failing[..], false),
    ] {
        let said = program.run(arguments).await;
        assert_eq!(said.code == 0, works, "{arguments:?}: {said:?}");
        assert_eq!(left(), [false, false], "{arguments:?}");
    }
    // The file alone is the database.
    let copy = base.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    let of_copy = Program::on(&base).with("MARKETLAKE_DATABASE__URL", database::sqlite_url(&copy));
    let listed = of_copy.ok(&["subscriptions", "list"]).await;
    assert!(listed.contains("a@example.com"), "{listed}");
    let mut server = program.up(&[]).await;
    program.ok(&subscribe).await;
    assert_eq!(left(), [true, true], "it is the server's");
    server.interrupt().await;
    eventually("the log to be taken in", async || {
        (left() == [false, false]).then_some(())
    })
    .await;
}

/// Runs the program as a user who may write nothing of a folder.
fn as_reader(program: &Program, arguments: &[&str]) -> Said {
    let own = Command::new("id").arg("-u").output().unwrap();
    let binary = env!("CARGO_BIN_EXE_marketlake");
    let mut command = if own.stdout == b"0\n" {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(binary);
        command
    } else {
        Command::new(binary)
    };
    command
        .args(arguments)
        .envs(program.settings().iter().cloned());
    let output = command.stdin(Stdio::null()).output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sets the mode of a folder and all below it.
fn set_modes(folder: &Path, of_folders: u32, of_files: u32) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            set_modes(&path, of_folders, of_files);
        } else {
            let mode = std::fs::Permissions::from_mode(of_files);
            std::fs::set_permissions(path, mode).unwrap();
        }
    }
    let mode = std::fs::Permissions::from_mode(of_folders);
    std::fs::set_permissions(folder, mode).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_cannot_be_written_can_be_read_and_says_why_nothing_else_works() {
    let base = Base::local().await;
    let program = lake(&base).await;
    let expected = program.ok(&["timeseries", "ethbtc"]).await;
    set_modes(base.path(), 0o555, 0o444);
    let series = as_reader(&program, &["timeseries", "ethbtc"]);
    assert_eq!((series.code, &series.out), (0, &expected), "{series:?}");
    for arguments in [
        &["metrics"][..],
        &["rank", "ethbtc"],
        &["check", "--deep"],
        &["subscriptions", "list"],
        &["migrate"],
    ] {
        let said = as_reader(&program, arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
    }
    let export = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    let out = export.to_str().unwrap();
    let exported = as_reader(&program, &["export", "ethbtc", "--out", out]);
    assert_eq!(exported.code, 0, "{exported:?}");
    std::fs::remove_file(&export).unwrap();
    for arguments in [&["vacuum"][..], &["up"], &["up", "--role", "api"]] {
        let said = as_reader(&program, arguments);
        assert_ne!(said.code, 0, "{arguments:?}: {said:?}");
        let cause = "cannot write the SQLite file or its folder";
        assert!(said.err.contains(cause), "{arguments:?}: {said:?}");
    }
    // With a log that cannot be read, it is not read without.
    let log = beside(&file(&base), "-wal");
    set_modes(base.path(), 0o755, 0o644);
    std::fs::write(&log, [0; 64]).unwrap();
    set_modes(base.path(), 0o555, 0o444);
    let said = as_reader(&program, &["metrics"]);
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.err.contains("no -wal beside it"), "{said:?}");
    set_modes(base.path(), 0o755, 0o644);
}
