//! Creates the tables of alert subscriptions.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index};

const TABLE: &str = "subscriptions";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(text("id").primary_key())
            .col(text("state"))
            .col(text("pattern"))
            .col(text("factor"))
            .col(integer("window_minutes"))
            .col(integer("min_samples"))
            .col(text("address"))
            .col(big_integer("created_at"))
            .col(big_integer_null("deleted_at"))
            .col(integer("revision"))
            .col(text_null("rule"))
            .col(text("channel"))
            .col(text_null("endpoint"))
            .col(text_null("secret"))
            .col(text("time_zone"))
            .col(text_null("source"))
            .col(big_integer_null("confirmed_at"))
            .col(big_integer_null("muted_until"))
            .col(text_null("reason"))
            .col(text_null("owner"))
            .to_owned();
        create(
            manager,
            table,
            &[
                index("subscriptions_by_state", &["state"]),
                index("subscriptions_by_address", &["address", "state"]),
                index("subscriptions_by_owner", &["owner"]),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
