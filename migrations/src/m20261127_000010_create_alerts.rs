//! Alerts: one row a subscription, metric and minute.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index, unique};

const TABLE: &str = "alerts";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(text("id").primary_key())
            .col(text("subscription_id"))
            .col(text("metric"))
            .col(big_integer("ts"))
            .col(text("value"))
            .col(double("mean"))
            .col(double("ratio"))
            .col(integer("samples"))
            .col(integer("revision"))
            .col(integer("detector"))
            .col(text_null("evidence_id"))
            .col(big_integer("created_at"))
            .foreign_key(
                ForeignKey::create()
                    .from("alerts", "subscription_id")
                    .to("subscriptions", "id"),
            )
            .to_owned();
        create(
            manager,
            table,
            &[
                unique("alerts_unique_jump", &["subscription_id", "metric", "ts"]),
                index("alerts_by_ts", &["ts"]),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
