//! Creates `segments`.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("segments")
                    .col(
                        ColumnDef::new("id")
                            .big_integer()
                            .not_null()
                            .auto_increment()
                            .primary_key(),
                    )
                    .col(ColumnDef::new("path").text().not_null().unique_key())
                    .col(ColumnDef::new("tier").text().not_null())
                    .col(ColumnDef::new("origin").text().not_null())
                    .col(ColumnDef::new("state").text().not_null())
                    .col(ColumnDef::new("hour").big_integer().not_null())
                    .col(ColumnDef::new("min_ts").big_integer().not_null())
                    .col(ColumnDef::new("max_ts").big_integer().not_null())
                    .col(ColumnDef::new("row_count").big_integer().not_null())
                    .col(ColumnDef::new("metric_count").big_integer().not_null())
                    .col(ColumnDef::new("byte_count").big_integer().not_null())
                    .col(ColumnDef::new("sha256").text().not_null())
                    .col(ColumnDef::new("created_at").big_integer().not_null())
                    .col(ColumnDef::new("retired_at").big_integer())
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("segments_by_state_and_max_ts")
                    .table("segments")
                    .col("state")
                    .col("max_ts")
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("segments_by_hour")
                    .table("segments")
                    .col("hour")
                    .col("state")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("segments").to_owned())
            .await
    }
}
