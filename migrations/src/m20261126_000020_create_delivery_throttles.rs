//! Replaces `brakes` by `delivery_throttles`, which hold back one lane, destination or address;
//! gives deliveries their destination and their Message-ID.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The index that claims read: deliveries that have not ended.
const OPEN: &str = "create index deliveries_open on deliveries (channel, destination, not_before) \
     where state in ('pending', 'retry', 'sending', 'unknown')";
const COPY: &str = "insert into delivery_throttles (scope, name, until, failures, reason, set_at) \
     select case when name = 'all' then 'all' else 'channel' end, name, until, failures, reason, \
     set_at from brakes";
const COPY_BACK: &str = "insert into brakes (name, until, failures, reason, set_at) \
     select name, until, failures, reason, set_at from delivery_throttles \
     where scope in ('all', 'channel')";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = throttle_columns("delivery_throttles");
        table
            .col(text("scope"))
            .primary_key(Index::create().col("scope").col("name"));
        manager.create_table(table).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared(COPY).await?;
        manager
            .drop_table(Table::drop().table("brakes").to_owned())
            .await?;
        for column in [
            text_null("message_id"),
            text("destination").default("").to_owned(),
        ] {
            let mut table = Table::alter().table("deliveries").to_owned();
            manager
                .alter_table(table.add_column(column).to_owned())
                .await?;
        }
        let position = match manager.get_database_backend() {
            DbBackend::Postgres => "strpos",
            _ => "instr",
        };
        let destinations = format!(
            "update deliveries set destination = case when channel = 'mail' \
             then 'mail:' || lower(substr(address, {position}(address, '@') + 1)) \
             else 'webhook:' || address end"
        );
        connection.execute_unprepared(&destinations).await?;
        connection.execute_unprepared(OPEN).await?;
        let by_message_id = Index::create()
            .name("deliveries_by_message_id")
            .table("deliveries")
            .col("message_id")
            .to_owned();
        manager.create_index(by_message_id).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["deliveries_open", "deliveries_by_message_id"] {
            let drop = Index::drop().name(name).table("deliveries").to_owned();
            manager.drop_index(drop).await?;
        }
        for column in ["message_id", "destination"] {
            let mut table = Table::alter().table("deliveries").to_owned();
            manager
                .alter_table(table.drop_column(column).to_owned())
                .await?;
        }
        let mut table = throttle_columns("brakes");
        table.primary_key(Index::create().col("name"));
        manager.create_table(table).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared(COPY_BACK).await?;
        manager
            .drop_table(Table::drop().table("delivery_throttles").to_owned())
            .await
    }
}

fn throttle_columns(name: &'static str) -> TableCreateStatement {
    Table::create()
        .table(name)
        .col(text("name"))
        .col(big_integer("until"))
        .col(integer("failures"))
        .col(text("reason"))
        .col(big_integer("set_at"))
        .to_owned()
}
