//! Gives `subscriptions` their whole rule, their life, and their channel.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COLUMNS: [&str; 10] = [
    "revision",
    "rule",
    "channel",
    "endpoint",
    "secret",
    "time_zone",
    "source",
    "confirmed_at",
    "muted_until",
    "reason",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            integer("revision").default(1).take(),
            text_null("rule"),
            text("channel").default("mail").take(),
            text_null("endpoint"),
            text_null("secret"),
            text("time_zone").default("UTC").take(),
            text_null("source"),
            big_integer_null("confirmed_at"),
            big_integer_null("muted_until"),
            text_null("reason"),
        ];
        for column in columns {
            // SQLite adds one column a statement.
            let table = Table::alter()
                .table("subscriptions")
                .add_column(column)
                .to_owned();
            manager.alter_table(table).await?;
        }
        manager
            .create_index(
                Index::create()
                    .name("subscriptions_by_address")
                    .table("subscriptions")
                    .col("address")
                    .col("state")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(
                Index::drop()
                    .name("subscriptions_by_address")
                    .table("subscriptions")
                    .to_owned(),
            )
            .await?;
        for column in COLUMNS {
            let table = Table::alter()
                .table("subscriptions")
                .drop_column(column)
                .to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
