//! Creates `segments`.

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
                    .table("segments")
                    .col(big_pk_auto("id"))
                    .col(text_uniq("path"))
                    .col(text("tier"))
                    .col(text("origin"))
                    .col(text("state"))
                    .col(big_integer("hour"))
                    .col(big_integer("min_ts"))
                    .col(big_integer("max_ts"))
                    .col(big_integer("row_count"))
                    .col(big_integer("metric_count"))
                    .col(big_integer("byte_count"))
                    .col(text("sha256"))
                    .col(big_integer("created_at"))
                    .col(big_integer_null("retired_at"))
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
