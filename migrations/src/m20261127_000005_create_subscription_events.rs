//! Changes of subscriptions, oldest first.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index};

const TABLE: &str = "subscription_events";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(big_pk_auto("id"))
            .col(text("subscription_id"))
            .col(text("kind"))
            .col(text("detail"))
            .col(big_integer("created_at"))
            .to_owned();
        create(
            manager,
            table,
            &[index(
                "subscription_events_by_subscription",
                &["subscription_id", "id"],
            )],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
