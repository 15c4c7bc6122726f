//! Samples on which alerts were decided.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, unique};

const TABLE: &str = "evidence";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(text("id").primary_key())
            .col(text("metric"))
            .col(big_integer("ts"))
            .col(integer("window_minutes"))
            .col(text("samples"))
            .col(text("segments"))
            .col(big_integer("created_at"))
            .to_owned();
        create(
            manager,
            table,
            &[unique(
                "evidence_unique_window",
                &["metric", "ts", "window_minutes"],
            )],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
