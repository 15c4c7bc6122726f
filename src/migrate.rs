//! Migration of the database, safe to run in several processes at once.

use marketlake_entities::database;
use marketlake_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};

/// Advisory lock of migrations; an arbitrary number. A transaction holds it, so that it ends with
/// the process, behind a pooler too.
const LOCK: &str = "select pg_advisory_xact_lock(7021950123)";

/// Applies missing migrations in one transaction. A read-only database must lack none.
pub(crate) async fn up(database: &DatabaseConnection) -> Result<(), DbErr> {
    if database::is_read_only(database).await? {
        let pending = Migrator::get_pending_migrations_read_only(database).await?;
        if pending.is_empty() {
            return Ok(());
        }
        let reason = format!("it is read-only, and lacks {} migrations", pending.len());
        return Err(DbErr::Custom(reason));
    }
    let transaction = database::begin_write(database).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(LOCK).await?;
    }
    Migrator::up(&transaction, None).await?;
    transaction.commit().await
}
