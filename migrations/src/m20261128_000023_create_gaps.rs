//! Gaps: one row a market and minute that was not recorded, or not completely.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index, unique};

const TABLE: &str = "gaps";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(big_pk_auto("id"))
            .col(text("market"))
            .col(big_integer("minute"))
            .col(text("reason"))
            .col(text("state"))
            .col(integer("attempts"))
            .col(big_integer("not_before"))
            .col(text_null("next_symbol"))
            .col(big_integer("samples"))
            .col(text("detail"))
            .col(big_integer("found_at"))
            .col(big_integer_null("closed_at"))
            .to_owned();
        create(
            manager,
            table,
            &[
                unique("gaps_unique_minute", &["market", "minute"]),
                index("gaps_by_state", &["state", "not_before"]),
                index("gaps_by_minute", &["minute", "id"]),
                index("gaps_by_closed_at", &["closed_at"]),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
