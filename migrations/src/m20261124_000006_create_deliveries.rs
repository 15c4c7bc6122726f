//! Creates `deliveries`.

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
                    .table("deliveries")
                    .col(text("id").primary_key())
                    .col(text_uniq("alert_id"))
                    .col(text("address"))
                    .col(text("state"))
                    .col(big_integer("token"))
                    .col(integer("attempts"))
                    .col(big_integer("not_before"))
                    .col(big_integer_null("lease_until"))
                    .col(text_null("error"))
                    .col(big_integer("created_at"))
                    .col(big_integer_null("finished_at"))
                    .foreign_key(
                        ForeignKey::create()
                            .from("deliveries", "alert_id")
                            .to("alerts", "id"),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("deliveries_by_state")
                    .table("deliveries")
                    .col("state")
                    .col("not_before")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("deliveries").to_owned())
            .await
    }
}
