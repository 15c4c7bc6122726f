//! What every command but the plainest needs: the catalog and the lake.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use marketlake_entities::database;
use marketlake_lake::{Lake, LakeError, Store, create_folder};
use parking_lot::Mutex;
use sea_orm::DatabaseConnection;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, Pool, Settings};
use crate::migrate;

/// How long a command that runs once tries a database that refuses connections.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the connections of an ended command may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Every pool of this process, to be closed at its end.
static POOLS: Mutex<Vec<DatabaseConnection>> = Mutex::new(Vec::new());

/// Has a pool closed with the others when the process ends.
pub(crate) fn close_at_end(database: DatabaseConnection) -> DatabaseConnection {
    POOLS.lock().push(database.clone());
    database
}

/// Closes every connection. The last one of a `SQLite` file takes its `-wal` into it, so that the
/// file alone is the database, unless another process has it open.
pub(crate) async fn close() {
    let pools = std::mem::take(&mut *POOLS.lock());
    let closing = async {
        for pool in pools {
            if let Err(error) = pool.close_by_ref().await {
                tracing::debug!(%error, "a pool did not close");
            }
        }
    };
    // What still runs in the background may hold a connection: then the next process does it.
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
}

/// Reaches the catalog, with its tables up to date.
pub(crate) async fn open_database(settings: &Settings) -> anyhow::Result<DatabaseConnection> {
    let url = settings.database_url();
    let unusable =
        |problem: String| ConfigError::setting("database.url", &url.to_string(), problem);
    let file = database::sqlite_file(url.expose());
    if let Some(folder) = file.as_deref().and_then(std::path::Path::parent) {
        create_folder(folder).map_err(|error| {
            unusable(format!(
                "cannot make the folder {}: {error}",
                folder.display()
            ))
        })?;
    }
    let mut options = settings.database.pool(Pool::Jobs)?;
    if !settings.runs_long {
        options.refused_timeout = REFUSED_TIMEOUT;
    }
    let database = database::connect_with(url.expose(), &options).await;
    let database = database.map_err(|error| unusable(error.to_string()))?;
    let database = close_at_end(database);
    database::check_pooler(&database)
        .await
        .map_err(|problem| unusable(format!("cannot use the database: {problem}")))?;
    migrate::up(&database)
        .await
        .map_err(|error| unusable(format!("cannot bring the tables up to date: {error}")))?;
    Ok(database)
}

/// Another pool of connections to the same database.
pub(crate) fn pool(settings: &Settings, pool: Pool) -> anyhow::Result<DatabaseConnection> {
    let options = settings.database.pool(pool)?;
    let pool = database::pool(settings.database_url().expose(), &options)?;
    Ok(close_at_end(pool))
}

/// Reaches the catalog and the store.
pub(crate) async fn open_lake(settings: &Settings) -> anyhow::Result<Arc<Lake>> {
    let database = open_database(settings).await?;
    let url = settings.store_url();
    let unusable = |error: &LakeError| {
        ConfigError::setting(
            "store.url",
            &url,
            format!("cannot reach the store: {error}"),
        )
    };
    let store = Store::open(&settings.store()?).await;
    let store = store.map_err(|error| unusable(&error))?;
    store.probe().await.map_err(|error| unusable(&error))?;
    let lake = Lake::open(database, store, settings.market_order()).await?;
    if let Some((options, route)) = settings.athena.options()? {
        let named = options.workgroups.join(", ");
        let connected = lake.connect_athena(options, route);
        connected.map_err(|error| ConfigError::setting("athena.workgroups", &named, error))?;
    }
    Ok(lake)
}

/// Reaches the catalog and the store to write: refuses a catalog that is not the store's, or that is
/// older than it.
pub(crate) async fn open_lake_to_write(settings: &Settings) -> anyhow::Result<Arc<Lake>> {
    let lake = open_lake(settings).await?;
    refuse_read_only(settings, lake.database()).await?;
    lake.prepare_writes().await?;
    Ok(lake)
}

/// Refuses a database that cannot be written, to whatever runs long or writes.
pub(crate) async fn refuse_read_only(
    settings: &Settings,
    database: &DatabaseConnection,
) -> anyhow::Result<()> {
    if database::is_read_only(database).await? {
        let url = settings.database_url().to_string();
        let problem = database::with_sqlite_help("attempt to write a readonly database".to_owned());
        return Err(ConfigError::setting("database.url", &url, problem).into());
    }
    Ok(())
}

/// Cancelled by Ctrl-C or SIGTERM, from this call on.
///
/// # Errors
/// Where the process may not ask for signals.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    let signal = signal().context("cannot wait for Ctrl-C")?;
    tokio::spawn(async move {
        signal.await;
        tracing::info!("stopping: finishing what runs");
        cancelled.cancel();
    });
    Ok(stop)
}

/// What a program does before its work, like reaching a database; nothing where it is told to stop
/// before that has ended, which leaves what a crash would leave.
///
/// # Errors
/// Those of what it does.
pub(crate) async fn unless_stopped<T>(
    stop: &CancellationToken,
    start: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    stop.run_until_cancelled(start).await.transpose()
}

/// Asks for the signals now, and returns what waits for one. A task would ask when it first runs: a
/// process whose parent ignores Ctrl-C, like a script's background job, would miss one before that.
#[cfg(unix)]
fn signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    })
}

#[cfg(not(unix))]
fn signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
