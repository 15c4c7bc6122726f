//! Creates `alerts`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("alerts")
                    .col(text("id").primary_key())
                    .col(text("subscription_id"))
                    .col(text("metric"))
                    .col(big_integer("ts"))
                    .col(text("value"))
                    .col(double("mean"))
                    .col(double("ratio"))
                    .col(integer("samples"))
                    .col(big_integer("created_at"))
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
