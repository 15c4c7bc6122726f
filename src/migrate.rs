//! Brings the tables up to date; safe to be tried by several processes at once.

use marketlake_entities::database;
use marketlake_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};

/// Any number will do, so long as nobody else in this database uses it. Held by a transaction, so that it is gone
/// with its process, behind a pooler too.
const LOCK: &str = "select pg_advisory_xact_lock(7021950123)";

/// Applies what is missing, all of it or nothing.
pub(crate) async fn up(database: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = database::begin_write(database).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(LOCK).await?;
    }
    Migrator::up(&transaction, None).await?;
    transaction.commit().await
}
