//! Creates `alerts`.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("alerts")
                    .col(ColumnDef::new("id").text().not_null().primary_key())
                    .col(ColumnDef::new("subscription_id").text().not_null())
                    .col(ColumnDef::new("metric").text().not_null())
                    .col(ColumnDef::new("ts").big_integer().not_null())
                    .col(ColumnDef::new("value").text().not_null())
                    .col(ColumnDef::new("mean").double().not_null())
                    .col(ColumnDef::new("ratio").double().not_null())
                    .col(ColumnDef::new("samples").integer().not_null())
                    .col(ColumnDef::new("created_at").big_integer().not_null())
                    .foreign_key(
                        ForeignKey::create()
                            .from("alerts", "subscription_id")
                            .to("subscriptions", "id"),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("alerts_one_a_jump")
                    .table("alerts")
                    .col("subscription_id")
                    .col("metric")
                    .col("ts")
                    .unique()
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("alerts").to_owned())
            .await
    }
}
