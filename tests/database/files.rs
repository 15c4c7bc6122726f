//! Permissions of the files that the program writes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::end_to_end::{history, replaying, subscribe};
use crate::support::base::Base;
use crate::support::eventually;
use crate::support::program::Program;

/// The program, as a careless start script would call it: whatever it creates may be read by all,
/// unless it says otherwise.
fn with_open_umask(program: &Program, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "umask 000; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_marketlake"),
        ])
        .args(arguments)
        .envs(program.settings().iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// All files below a folder, and the folders.
fn below(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    let mut next = 0;
    while let Some(folder) = folders.get(next).cloned() {
        next += 1;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    (files, folders)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_behind_a_link_that_leads_nowhere_is_created_private_too() {
    let base = Base::local().await;
    let (data, target) = (base.path().join("data"), base.path().join("elsewhere.db"));
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(&target, data.join("marketlake.db")).unwrap();
    let program = Program::bare().with("MARKETLAKE_DATA", data.display());
    let mut command = with_open_umask(&program, &["check"]);
    assert!(command.status().unwrap().success());
    assert_eq!(mode(&target), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_place_of_the_database_is_named() {
    let base = Base::local().await;
    let data = base.path().join("data");
    std::fs::create_dir_all(data.join("marketlake.db")).unwrap();
    let program = Program::bare().with("MARKETLAKE_DATA", data.display());
    let said = program.run(&["check"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("marketlake.db is not a file"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_mails_and_exports_are_their_owners_only_whatever_the_umask() {
    let base = Base::local().await;
    let data = base.path().join("data");
    let file = history(&base, 70, Some(65));
    let program = replaying(&base, &[file], 3_600)
        .without("MARKETLAKE_DATABASE__URL")
        .without("MARKETLAKE_STORE__URL");
    let migrated = with_open_umask(&program, &["migrate"]).status().unwrap();
    assert!(migrated.success());
    subscribe(&program, "ethbtc").await;
    let _running = Killed(with_open_umask(&program, &["up"]).spawn().unwrap());
    let outbox = data.join("outbox");
    eventually("an alert in the outbox", async || {
        let mails = std::fs::read_dir(&outbox).ok()?;
        let mut mails = mails.map(|entry| entry.unwrap().path());
        mails.find(|path| path.extension().is_some_and(|end| end == "eml"))
    })
    .await;
    let (files, folders) = below(&data);
    for name in ["marketlake.db", "marketlake.db-wal", "marketlake.db-shm"] {
        assert!(files.contains(&data.join(name)), "{name}: {files:?}");
    }
    for file in files
        .iter()
        .filter(|file| !file.starts_with(data.join("lake")))
    {
        assert_eq!(mode(file), 0o600, "{}: {:o}", file.display(), mode(file));
    }
    for folder in [&data, &outbox] {
        assert_eq!(mode(folder), 0o700, "{}: {folders:?}", folder.display());
    }

    let (mails, export) = (
        base.path().join("mails"),
        base.path().join("export.parquet"),
    );
    for arguments in [
        vec!["mail", "preview", "--out", mails.to_str().unwrap()],
        vec!["export", "ethbtc", "--out", export.to_str().unwrap()],
    ] {
        let status = with_open_umask(&program, &arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    }
    let (mut written, _) = below(&mails);
    written.push(export);
    assert!(written.len() > 1, "{written:?}");
    for file in written {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_files_that_others_may_read() {
    let base = Base::local().await;
    let program = Program::on(&base);
    program.ok(&["migrate"]).await;
    let file = base.path().join("marketlake.db");
    let findings = program.ok(&["doctor", "--format", "csv"]).await;
    assert!(findings.contains("file permissions,good,"), "{findings}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let findings = program.ok(&["doctor", "--format", "csv"]).await;
    let expected = format!("mode 644: chmod 600 {}", file.display());
    assert!(findings.contains("file permissions,warning,"), "{findings}");
    assert!(findings.contains(&expected), "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_doctor_name_a_restored_database_and_a_key_that_others_may_read() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
    let mut server = program.up(&[]).await;
    server.interrupt().await;
    let said = server.end_log();
    assert!(!said.contains("chmod"), "{said}");
    let key = base.path().join("data").join("operator.key");
    let database = base.path().join("marketlake.db");
    let restored = base.path().join("restored.db");
    std::fs::copy(&database, &restored).unwrap();
    std::fs::rename(&restored, &database).unwrap();
    for file in [&database, &key] {
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(file, open).unwrap();
    }
    let findings = program.ok(&["doctor", "--format", "csv"]).await;
    let mut server = program.up(&[]).await;
    let expected = [&database, &key].map(|file| format!("mode 644: chmod 600 {}", file.display()));
    server.interrupt().await;
    let said = server.end_log();
    for expected in &expected {
        assert!(findings.contains(expected), "{findings}");
        assert!(said.contains(expected), "{said}");
    }
    // Wider permissions stay: they may be intended.
    assert_eq!(mode(&database), 0o644);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_by_another_process_leaves_the_write_ahead_log_of_a_running_one() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
    let mut server = program.up(&[]).await;
    let database = base.path().join("marketlake.db");
    let log = base.path().join("marketlake.db-wal");
    assert!(log.exists());
    let python = std::env::var_os("MARKETLAKE_TEST_PYTHON").expect("scripts/test makes a Python");
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                  c.execute('vacuum into ?', (sys.argv[2],)); c.close()";
    let backup = base.path().join("backup.db");
    let status = Command::new(python)
        .args(["-c", script])
        .args([&database, &backup])
        .status()
        .unwrap();
    assert!(status.success());
    assert!(log.exists(), "its commits from now on would be lost");
    assert!(server.is_running());
}
