//! Time of a metric's first commit by a feed, which decides the owner of its short name.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

const TABLE: &str = "metrics";
const COLUMN: &str = "recorded_at";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let add = Table::alter()
            .table(TABLE)
            .add_column(big_integer_null(COLUMN))
            .to_owned();
        manager.alter_table(add).await?;
        // Feeds and imports were not told apart before.
        manager
            .get_connection()
            .execute_unprepared("update metrics set recorded_at = created_at")
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let remove = Table::alter().table(TABLE).drop_column(COLUMN).to_owned();
        manager.alter_table(remove).await
    }
}
