//! Brings the tables up to date; safe to be tried by several processes at once.

use marketlake_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, TransactionTrait};

/// Any number will do, so long as nobody else in this database uses it.
const LOCK: &str = "select pg_advisory_xact_lock(7021950123)";

/// Applies what is missing. Returns how many migrations that were.
pub(crate) async fn up(database: &DatabaseConnection) -> Result<usize, DbErr> {
    if database.get_database_backend() != DbBackend::Postgres {
        return apply(database).await;
    }
    // Held by a transaction, so that it is gone with its process, behind a pooler too.
    let guard = database.begin().await?;
    guard.execute_unprepared(LOCK).await?;
    let applied = apply(database).await?;
    guard.commit().await?;
    Ok(applied)
}

async fn apply(database: &DatabaseConnection) -> Result<usize, DbErr> {
    let pending = Migrator::get_pending_migrations(database).await?.len();
    if pending > 0 {
        Migrator::up(database, None).await?;
    }
    Ok(pending)
}
