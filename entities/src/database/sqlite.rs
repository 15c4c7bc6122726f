//! The `SQLite` file itself: whether it is damaged, and reading where nothing can be written.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sea_orm::sqlx::{self, ConnectOptions};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqlxSqliteConnector, Statement,
};

use super::pool_options::PoolOptions;
use super::sqlite_file;

/// Messages of `SQLite` about a damaged file, whatever the statement.
const DAMAGED: [&str; 3] = [
    "database disk image is malformed",
    "file is not a database",
    "malformed database schema",
];
const DAMAGED_HELP: &str = "the SQLite file is damaged, or was copied without its -wal: restore a \
     backup of it, or move it, its -wal and its -shm away and run `marketlake rebuild-catalog`, \
     which loses no sample (docs/operations.md, The database is damaged)";
/// Messages where the disk is full: about the file, and about the shared memory beside it
/// (`SQLITE_IOERR_SHMSIZE`), without which nothing is read either.
const FULL: [&str; 2] = ["database or disk is full", "(code: 4874)"];
const FULL_HELP: &str =
    "no space is left on the disk of the SQLite file; free some, nothing is lost";
/// Messages about a file that cannot be written, or opened because that needs a file beside it.
const UNWRITABLE: [&str; 2] = [
    "attempt to write a readonly database",
    "unable to open database file",
];
const UNWRITABLE_HELP: &str = "this user cannot write the SQLite file or its folder, or the disk \
     is mounted read-only; commands that only read work there while no process has it open, \
     which is where there is no -wal beside it";

/// The cause of an error of `SQLite`'s and what helps, by the text of the error.
#[must_use]
pub fn sqlite_help(error: &str) -> Option<&'static str> {
    let says = |texts: &[&str]| texts.iter().any(|text| error.contains(text));
    if says(&DAMAGED) {
        Some(DAMAGED_HELP)
    } else if says(&FULL) {
        Some(FULL_HELP)
    } else {
        says(&UNWRITABLE).then_some(UNWRITABLE_HELP)
    }
}

/// The text of an error, with what helps.
#[must_use]
pub fn with_sqlite_help(error: String) -> String {
    match sqlite_help(&error) {
        Some(help) if !error.contains(help) => format!("{error}: {help}"),
        _ => error,
    }
}

/// Checks the structure of a `SQLite` file. `None` where the database is another.
///
/// # Errors
/// Fails if the query does.
pub async fn check_sqlite(database: &DatabaseConnection) -> Result<Option<String>, DbErr> {
    if database.get_database_backend() != DbBackend::Sqlite {
        return Ok(None);
    }
    let check = Statement::from_string(DbBackend::Sqlite, "pragma quick_check(1)");
    let row = database.query_one_raw(check).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// Whether the database was opened for reading only, because it cannot be written.
///
/// # Errors
/// Fails if the query does.
pub async fn is_read_only(database: &DatabaseConnection) -> Result<bool, DbErr> {
    if database.get_database_backend() != DbBackend::Sqlite {
        return Ok(false);
    }
    let statement = Statement::from_string(DbBackend::Sqlite, "pragma query_only");
    let row = database.query_one_raw(statement).await?;
    let value: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(value == Some(1))
}

/// Opens a file for reading only after an error said that it cannot be written. A file without
/// `-wal` is whole, and no process has it open; one with it may lack commits, and is left alone.
pub(super) fn reader(
    url: &str,
    options: &PoolOptions,
    error: &DbErr,
) -> Option<DatabaseConnection> {
    let error = error.to_string();
    let file = sqlite_file(url)?;
    let is_whole =
        file.metadata().is_ok_and(|file| file.len() > 0) && !write_ahead_log(&file).exists();
    if !is_whole || !UNWRITABLE.iter().any(|text| error.contains(text)) {
        return None;
    }
    let connect = SqliteConnectOptions::from_str(url).ok()?;
    let connect = connect
        .read_only(true)
        .immutable(true)
        .pragma("query_only", "on")
        .disable_statement_logging();
    let pool: sqlx::SqlitePool = SqlitePoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .connect_lazy_with(connect);
    Some(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

fn write_ahead_log(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_added_once_and_only_where_there_is_some() {
        let once = with_sqlite_help("(code: 26) file is not a database".to_owned());
        assert!(once.contains("marketlake rebuild-catalog"), "{once}");
        assert_eq!(with_sqlite_help(once.clone()), once);
        let full = with_sqlite_help("(code: 4874) disk I/O error".to_owned());
        assert!(full.contains("no space is left"), "{full}");
        let other = "no such table: segments".to_owned();
        assert_eq!(with_sqlite_help(other.clone()), other);
    }
}
