//! Connection pools of the process: opening, migrating, closing.

use std::time::Duration;

use marketlake_entities::database;
use marketlake_lake::create_folder;
use parking_lot::Mutex;
use sea_orm::DatabaseConnection;
use tokio::time::timeout;

use crate::config::{ConfigError, Pool, Settings};
use crate::migrate;

/// Time for which a command that runs once retries a database that refuses connections.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(1);

/// Time that connections have to close at the end of a command.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// All pools of this process, closed at its end.
static POOLS: Mutex<Vec<DatabaseConnection>> = Mutex::new(Vec::new());

/// Registers a pool to be closed at the end of the process.
pub(crate) fn close_at_end(database: DatabaseConnection) -> DatabaseConnection {
    POOLS.lock().push(database.clone());
    database
}

/// Closes all connections. The last one of a `SQLite` file takes its `-wal` into it, so that the
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
    // Background work may still hold a connection: then the next process does it.
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
}

/// Connects to the database and migrates it.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<DatabaseConnection> {
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
    let mut options = settings.database.pool(Pool::Jobs);
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
        .map_err(|error| unusable(format!("cannot migrate the tables: {error}")))?;
    Ok(database)
}

/// Opens another pool of connections to the same database.
pub(crate) fn pool(settings: &Settings, pool: Pool) -> anyhow::Result<DatabaseConnection> {
    let options = settings.database.pool(pool);
    let pool = database::pool(settings.database_url().expose(), &options)?;
    Ok(close_at_end(pool))
}

/// Checks that the database is writable.
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
