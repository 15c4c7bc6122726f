//! Clocks that a test sets: a Postgres database's, and one process's.

use std::path::{Path, PathBuf};

use marketlake_model::Millis;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::base::Base;
use super::program::Program;

/// Debian's libfaketime, for the machine's clock.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let files = folders.map(|folder| folder.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    let found = files.into_iter().find(|file| file.is_file());
    found.expect("libfaketime sets the clock of one process: run scripts/test, which installs it")
}

/// Has a program go by a machine's clock that a file sets: `+0`, `+1d`, `-10m`.
pub fn by_file(program: Program, file: &Path) -> Program {
    std::fs::write(file, "+0\n").unwrap();
    program
        .with("LD_PRELOAD", faketime().display())
        .with("FAKETIME_TIMESTAMP_FILE", file.display())
        .with("FAKETIME_NO_CACHE", "1")
        .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .with("DONT_FAKE_MONOTONIC", "1")
}

pub fn true_now() -> Millis {
    Millis::from(chrono::Utc::now())
}

/// Has a Postgres database tell a time that can be set, to connections that are made from now on.
pub async fn with_clock(base: &Base) -> DatabaseConnection {
    let database = base.database().await;
    for statement in [
        "create schema skewed".to_owned(),
        "create table skewed.skew (by interval)".to_owned(),
        "insert into skewed.skew values ('0')".to_owned(),
        "create function skewed.clock_timestamp() returns timestamptz language sql volatile as \
         'select pg_catalog.clock_timestamp() + (select by from skewed.skew)'"
            .to_owned(),
        "do $$ begin execute format('alter database %I set search_path = public, skewed, pg_catalog', \
         current_database()); end $$"
            .to_owned(),
    ] {
        database.execute_unprepared(&statement).await.unwrap();
    }
    database
}

/// Sets the database's clock off the true time.
pub async fn set(database: &DatabaseConnection, by: &str) {
    let statement = format!("update skewed.skew set by = '{by}'");
    database.execute_unprepared(&statement).await.unwrap();
}
