//! Deliveries: one row a message to one address.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index};

const TABLE: &str = "deliveries";

/// The index that claims read: deliveries that have not ended.
const OPEN: &str = "create index deliveries_open on deliveries (channel, destination, not_before) \
     where state in ('pending', 'retry', 'sending', 'unknown')";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(text("id").primary_key())
            .col(text_null("message_id"))
            .col(text("kind"))
            .col(text_null("subscription_id"))
            .col(text("channel"))
            .col(text("address"))
            .col(text("destination"))
            .col(text_null("content"))
            .col(blob_null("message"))
            .col(text("state"))
            .col(big_integer("token"))
            .col(integer("attempts"))
            .col(integer("unknowns"))
            .col(big_integer_null("transmit_started_at"))
            .col(big_integer("not_before"))
            .col(big_integer_null("lease_until"))
            .col(text_null("error"))
            .col(big_integer("created_at"))
            .col(big_integer_null("finished_at"))
            .to_owned();
        create(
            manager,
            table,
            &[
                index("deliveries_by_state", &["state", "not_before"]),
                index("deliveries_by_address", &["address", "created_at"]),
                index("deliveries_by_message_id", &["message_id"]),
            ],
        )
        .await?;
        manager.get_connection().execute_unprepared(OPEN).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
