//! Metrics that were ever recorded.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index};

const TABLE: &str = "metrics";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(text("id").primary_key())
            .col(text("market"))
            .col(text("pair"))
            .col(text("measure"))
            .col(big_integer("created_at"))
            .to_owned();
        create(
            manager,
            table,
            &[index("metrics_by_pair", &["pair", "measure"])],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
