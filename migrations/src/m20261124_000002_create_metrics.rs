//! Creates `metrics`.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("metrics")
                    .col(ColumnDef::new("id").text().not_null().primary_key())
                    .col(ColumnDef::new("market").text().not_null())
                    .col(ColumnDef::new("pair").text().not_null())
                    .col(ColumnDef::new("measure").text().not_null())
                    .col(ColumnDef::new("created_at").big_integer().not_null())
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("metrics_by_pair")
                    .table("metrics")
                    .col("pair")
                    .col("measure")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("metrics").to_owned())
            .await
    }
}
