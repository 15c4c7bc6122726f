//! Segments: one row an object of samples, live or retired.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index};

const TABLE: &str = "segments";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
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
            .col(blob_null("crcs"))
            .col(text_null("rollup_path"))
            .col(big_integer_null("rollup_byte_count"))
            .col(text_null("rollup_sha256"))
            .col(blob_null("rollup_crcs"))
            .col(big_integer("created_at"))
            .col(big_integer_null("retired_at"))
            .to_owned();
        create(
            manager,
            table,
            &[
                index("segments_by_state_and_max_ts", &["state", "max_ts"]),
                index("segments_by_hour", &["hour", "state"]),
                index("segments_by_state_and_tier", &["state", "tier", "hour"]),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
