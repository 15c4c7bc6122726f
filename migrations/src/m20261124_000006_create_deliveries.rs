//! Creates `deliveries`.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("deliveries")
                    .col(ColumnDef::new("id").text().not_null().primary_key())
                    .col(ColumnDef::new("alert_id").text().not_null().unique_key())
                    .col(ColumnDef::new("address").text().not_null())
                    .col(ColumnDef::new("state").text().not_null())
                    .col(ColumnDef::new("token").big_integer().not_null())
                    .col(ColumnDef::new("attempts").integer().not_null())
                    .col(ColumnDef::new("not_before").big_integer().not_null())
                    .col(ColumnDef::new("lease_until").big_integer())
                    .col(ColumnDef::new("error").text())
                    .col(ColumnDef::new("created_at").big_integer().not_null())
                    .col(ColumnDef::new("finished_at").big_integer())
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
