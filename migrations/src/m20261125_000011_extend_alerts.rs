//! Ties `alerts` to the rule and the rows that made them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COLUMNS: [&str; 3] = ["revision", "detector", "evidence_id"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            integer("revision").default(1).take(),
            integer("detector").default(1).take(),
            text_null("evidence_id"),
        ];
        for column in columns {
            // SQLite adds one column a statement.
            let table = Table::alter().table("alerts").add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        manager
            .create_index(
                Index::create()
                    .name("alerts_by_ts")
                    .table("alerts")
                    .col("ts")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(
                Index::drop()
                    .name("alerts_by_ts")
                    .table("alerts")
                    .to_owned(),
            )
            .await?;
        for column in COLUMNS {
            let table = Table::alter()
                .table("alerts")
                .drop_column(column)
                .to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
