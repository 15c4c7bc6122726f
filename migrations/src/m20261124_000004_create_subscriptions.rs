//! Creates `subscriptions`.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("subscriptions")
                    .col(ColumnDef::new("id").text().not_null().primary_key())
                    .col(ColumnDef::new("state").text().not_null())
                    .col(ColumnDef::new("pattern").text().not_null())
                    .col(ColumnDef::new("factor").text().not_null())
                    .col(ColumnDef::new("window_minutes").integer().not_null())
                    .col(ColumnDef::new("min_samples").integer().not_null())
                    .col(ColumnDef::new("address").text().not_null())
                    .col(ColumnDef::new("created_at").big_integer().not_null())
                    .col(ColumnDef::new("deleted_at").big_integer())
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("subscriptions_by_state")
                    .table("subscriptions")
                    .col("state")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("subscriptions").to_owned())
            .await
    }
}
