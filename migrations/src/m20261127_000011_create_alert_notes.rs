//! Jumps that became no alert, and alerts that a later review did not find again.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index, unique};

const TABLE: &str = "alert_notes";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(big_pk_auto("id"))
            .col(text("subscription_id"))
            .col(text("metric"))
            .col(big_integer("ts"))
            .col(text("verdict"))
            .col(text("value"))
            .col(double("mean"))
            .col(double("ratio"))
            .col(integer("samples"))
            .col(big_integer("created_at"))
            .to_owned();
        create(
            manager,
            table,
            &[
                unique(
                    "alert_notes_unique_verdict",
                    &["subscription_id", "metric", "ts", "verdict"],
                ),
                index("alert_notes_by_ts", &["ts"]),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
