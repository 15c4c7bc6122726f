//! The connection to the catalog: `SQLite` or Postgres, with the same guarantees on both.

mod connect;
pub mod outage;
mod pool_options;
mod pooler;
mod sqlite;

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

pub use connect::{ConnectError, connect, connect_with, diagnose, diagnose_silence, pool};
use marketlake_model::Millis;
pub use pool_options::PoolOptions;
pub use pooler::check_pooler;
pub use sqlite::{check_sqlite, is_read_only, sqlite_help, with_sqlite_help};

/// Characters that end the path of a URL, or that are decoded there.
const SPECIAL: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'%').add(b'?');

/// The address of a `SQLite` file, whatever characters its path holds.
#[must_use]
pub fn sqlite_url(file: &Path) -> String {
    let path = file.to_string_lossy();
    format!("sqlite://{}", utf8_percent_encode(&path, SPECIAL))
}

/// The file of a `SQLite` address.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite://")?.split('?').next()?;
    Some(percent_decode_str(path).decode_utf8().ok()?.as_ref().into())
}

/// Begins a transaction that writes. On `SQLite` it takes the write lock at once, so that it
/// waits its turn instead of failing half-way.
///
/// # Errors
/// Fails if the database does, or another writer holds `SQLite` for over ten seconds.
pub async fn begin_write(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    database.begin_with_options(options).await
}

/// The database's clock as an SQL expression, in milliseconds: the one clock that all processes
/// share.
#[must_use]
pub fn clock_sql(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "(extract(epoch from clock_timestamp()) * 1000)::bigint",
        _ => "cast(unixepoch('subsec') * 1000 as integer)",
    }
}

/// Suffix of a claim's inner select, so that workers skip each other's rows. `SQLite` has one
/// writer.
#[must_use]
pub fn skip_locked_sql(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "for update skip locked",
        _ => "",
    }
}

/// Reads the database's clock.
///
/// # Errors
/// If the database fails.
pub async fn clock(connection: &impl ConnectionTrait) -> Result<Millis, DbErr> {
    let backend = connection.get_database_backend();
    let sql = format!("select {} as now", clock_sql(backend));
    let row = connection
        .query_one_raw(Statement::from_string(backend, sql))
        .await?
        .ok_or_else(|| DbErr::RecordNotFound("the database's clock".to_owned()))?;
    row.try_get("", "now")
}

/// Rows an insert: below the parameter limit of either database.
const INSERT_ROWS: usize = 500;

/// Inserts rows however many they are, a few hundred a statement, with what is to be done about
/// those that are there already. Returns how many were written.
///
/// # Errors
/// Fails if the database does; the caller rolls its transaction back.
pub async fn insert_all<A>(
    connection: &impl ConnectionTrait,
    rows: Vec<A>,
    conflict: Option<OnConflict>,
) -> Result<u64, DbErr>
where
    A: ActiveModelTrait,
{
    let mut rows = rows.into_iter();
    let mut written = 0;
    while rows.len() > 0 {
        let some: Vec<A> = rows.by_ref().take(INSERT_ROWS).collect();
        let mut insert = A::Entity::insert_many(some);
        if let Some(conflict) = &conflict {
            insert = insert.on_conflict(conflict.clone());
        }
        written += insert.exec_without_returning(connection).await?;
    }
    Ok(written)
}
