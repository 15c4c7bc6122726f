//! Pools of connections to `SQLite` or Postgres.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, Executor};
use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DbBackend, DbErr, RuntimeErr, SqlxPostgresConnector,
    SqlxSqliteConnector,
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::pool_options::PoolOptions;
use super::{pooler, sqlite, sqlite_file};
use marketlake_common::{causes, private_file};

/// Timeout of waiting for another process's write on `SQLite`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of the connection that is made only to diagnose a pool without connections.
const DIAGNOSIS_TIMEOUT: Duration = Duration::from_secs(2);
/// Retries that take longer are worth a line in the log.
const LOGGED_RETRY: Duration = Duration::from_secs(2);
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// Reason why there is no pool. It never contains the address, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The address is not one of a database; the message says what was expected.
    #[error("{0}")]
    Address(String),
    /// No connection can be made: the network's or the server's own message.
    #[error("cannot reach the database: {0}")]
    Unreachable(String),
}

/// Connects to `sqlite://FILE` or `postgres://..` with the default options.
///
/// A `SQLite` file is created with mode 0600 where it is missing, and every commit is flushed to
/// the disk before it returns.
///
/// # Errors
/// The last reason why no connection could be made within ten seconds.
pub async fn connect(url: &str) -> Result<DatabaseConnection, ConnectError> {
    connect_with(url, &PoolOptions::default()).await
}

/// Connects with options; a server that refuses connections is tried again until `refused_timeout`
/// is over, one that starts up or has no room until `acquire_timeout` is. A `SQLite` file that
/// cannot be written, and that no process has open, is opened for [reading
/// only](super::is_read_only).
///
/// # Errors
/// The last reason why no connection could be made, the network's or the server's own message,
/// with the server's host and port.
pub async fn connect_with(
    url: &str,
    options: &PoolOptions,
) -> Result<DatabaseConnection, ConnectError> {
    let database = pool(url, options)?;
    let begun = Instant::now();
    let deadline = begun + options.acquire_timeout;
    let mut backoff = INITIAL_BACKOFF;
    let mut is_told = false;
    loop {
        let Err(error) = first_connection(&database, deadline).await else {
            return Ok(database);
        };
        if let Some(reader) = sqlite::reader(url, options, &error) {
            let answered = reader.ping().await;
            answered.map_err(|error| unreachable(&reader, &error))?;
            tracing::warn!("the database cannot be written: it is opened for reading only");
            return Ok(reader);
        }
        let retry_for = match retry(&error) {
            Retry::Never => return Err(unreachable(&database, &error)),
            Retry::Refused => options.refused_timeout.min(options.acquire_timeout),
            Retry::Busy => options.acquire_timeout,
        };
        if Instant::now() + backoff >= begun + retry_for {
            return Err(unreachable(&database, &error));
        }
        if retry_for > LOGGED_RETRY && !is_told {
            is_told = true;
            let (error, seconds) = (reason(&database, &error), retry_for.as_secs());
            tracing::warn!(
                error,
                seconds,
                "the database cannot be reached yet, trying again"
            );
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

/// A pool that connects when it is first used.
///
/// # Errors
/// Fails if the address cannot be used, or the `SQLite` file cannot be made.
pub fn pool(url: &str, options: &PoolOptions) -> Result<DatabaseConnection, ConnectError> {
    if let Some(url) = postgres_url(url) {
        return postgres_pool(&url, options);
    }
    if !url.starts_with("sqlite:") {
        let expected = "expected sqlite://FILE or postgres://..".to_owned();
        return Err(ConnectError::Address(expected));
    }
    if let Some(file) = sqlite_file(url) {
        create_private(&file)?;
        if !file.is_file() {
            let reason = format!("{} is not a file", file.display());
            return Err(ConnectError::Unreachable(reason));
        }
    }
    let connect = SqliteConnectOptions::from_str(url).map_err(|error| not_an_address(&error))?;
    let connect = connect
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .connect_lazy_with(connect);
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

fn postgres_pool(url: &str, options: &PoolOptions) -> Result<DatabaseConnection, ConnectError> {
    let connect = PgConnectOptions::from_str(url).map_err(|error| not_an_address(&error))?;
    // PgBouncer refuses this startup parameter; Postgres' own default is the shortest exact text.
    let connect = connect.extra_float_digits(None).disable_statement_logging();
    let mut pool = PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout);
    if let Some(limit) = options.statement_timeout {
        // By SET, as PgBouncer refuses the startup parameter `options` too.
        let set = format!("set statement_timeout = {}", limit.as_millis());
        pool = pool.after_connect(move |connection, _| {
            let set = AssertSqlSafe(set.clone());
            Box::pin(async move { connection.execute(set).await.map(drop) })
        });
    }
    let pool = pool.connect_lazy_with(connect);
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

fn not_an_address(error: &sqlx::Error) -> ConnectError {
    ConnectError::Address(error.to_string())
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

/// Describes a failure of the database in one sentence. Where the pool only says that it timed out,
/// one more connection is tried for the reason.
pub async fn diagnose(
    database: &DatabaseConnection,
    error: &(dyn std::error::Error + Send + Sync + 'static),
) -> String {
    let is_postgres = database.get_database_backend() == DbBackend::Postgres;
    let (is_timeout, is_broken) = (is_pool_timeout(error), is_broken_connection(error));
    if !is_postgres || !(is_timeout || is_broken) {
        return sqlite::with_sqlite_help(error.to_string());
    }
    let pool = database.get_postgres_connection_pool();
    let connect = pool.connect_options();
    let reason = match timeout(DIAGNOSIS_TIMEOUT, connect.connect()).await {
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            if is_broken {
                return error.to_string();
            }
            format!(
                "all {} connections of the pool are in use; the server takes new ones",
                pool.size()
            )
        }
        Ok(Err(error)) => format!("cannot connect to {}: {error}", server(&connect)),
        Err(_) => format!(
            "no answer from {} within {} s",
            server(&connect),
            DIAGNOSIS_TIMEOUT.as_secs()
        ),
    };
    if is_broken {
        format!("{error}; a new connection fails: {reason}")
    } else {
        reason
    }
}

/// Cause of a database's silence, where that can be found out.
pub async fn diagnose_silence(database: &DatabaseConnection) -> Option<String> {
    let is_postgres = database.get_database_backend() == DbBackend::Postgres;
    let silence = DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
    match is_postgres {
        true => Some(diagnose(database, &silence).await),
        false => None,
    }
}

/// Whether an error came of a pool that had no connection to give.
pub(super) fn is_pool_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
        )
    })
}

fn is_broken_connection(error: &(dyn std::error::Error + 'static)) -> bool {
    // The errors of sea-orm hold those of sqlx behind an `Arc`, which is no source of theirs.
    causes(error).any(|cause| {
        let Some(DbErr::Conn(inner) | DbErr::Exec(inner) | DbErr::Query(inner)) =
            cause.downcast_ref()
        else {
            return false;
        };
        let RuntimeErr::SqlxError(error) = inner else {
            return false;
        };
        // A connection that breaks off while it is made is a protocol error, or one of TLS.
        matches!(
            &**error,
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_)
        )
    })
}

/// The first connection, which is kept in the pool.
async fn first_connection(database: &DatabaseConnection, deadline: Instant) -> Result<(), DbErr> {
    if database.get_database_backend() != DbBackend::Postgres {
        return database.ping().await;
    }
    // The pool hides why it cannot connect, so the first connection is made without it.
    let connect = database.get_postgres_connection_pool().connect_options();
    let connected = timeout_at(deadline, connect.connect()).await;
    let connected = connected.unwrap_or_else(|_| Err(slow(&connect)));
    let connection = connected.map_err(failed)?;
    let _ = connection.close().await;
    // A pooler lets clients in without a server, and has their first statement wait for one.
    let answered = timeout_at(deadline, database.ping()).await;
    answered.unwrap_or_else(|_| Err(failed(slow(&connect))))
}

fn slow(connect: &PgConnectOptions) -> sqlx::Error {
    let reason = format!("no answer from {}", server(connect));
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, reason))
}

/// Host and port of a server, or its socket.
fn server(connect: &PgConnectOptions) -> String {
    match connect.get_socket() {
        Some(folder) => format!("the socket in {}", folder.display()),
        None => format!("{}:{}", connect.get_host(), connect.get_port()),
    }
}

/// An error of the first connection, with the server that it is about.
fn unreachable(database: &DatabaseConnection, error: &DbErr) -> ConnectError {
    ConnectError::Unreachable(reason(database, error))
}

fn reason(database: &DatabaseConnection, error: &DbErr) -> String {
    let reason = match error {
        DbErr::Conn(RuntimeErr::SqlxError(error)) => error.to_string(),
        error => error.to_string(),
    };
    if database.get_database_backend() != DbBackend::Postgres {
        return reason;
    }
    let connect = database.get_postgres_connection_pool().connect_options();
    format!("cannot connect to {}: {reason}", server(&connect))
}

/// Whether another attempt at the first connection may help.
enum Retry {
    Never,
    /// Nothing listens there.
    Refused,
    /// Starting up, or out of connections.
    Busy,
}

fn retry(error: &DbErr) -> Retry {
    let DbErr::Conn(RuntimeErr::SqlxError(error)) = error else {
        return Retry::Never;
    };
    match &**error {
        sqlx::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => Retry::Refused,
            _ => Retry::Never,
        },
        // too_many_connections, cannot_connect_now
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("53300" | "57P03") => Retry::Busy,
            _ if pooler::waits_for_server(error.message()) => Retry::Busy,
            _ => Retry::Never,
        },
        _ => Retry::Never,
    }
}

fn postgres_url(url: &str) -> Option<String> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))?;
    Some(format!("postgres://{rest}"))
}

fn create_private(file: &Path) -> Result<(), ConnectError> {
    private_file::create_if_missing(file).map_err(|error| {
        ConnectError::Unreachable(format!("cannot create {}: {error}", file.display()))
    })
}
