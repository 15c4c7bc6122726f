//! Rebuilds `deliveries`: any kind of message on any channel, of no, one or many alerts (`delivery_alerts`), with its bytes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::TransactionTrait;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COPY: &str = "insert into deliveries_rebuilt (id, kind, subscription_id, channel, address, state, token, attempts, unknowns, \
     not_before, lease_until, error, created_at, finished_at) \
     select d.id, 'alert', a.subscription_id, 'mail', d.address, d.state, d.token, d.attempts, 0, \
     d.not_before, d.lease_until, d.error, d.created_at, d.finished_at from deliveries d join alerts a on a.id = d.alert_id";
const COPY_ALERTS: &str =
    "insert into delivery_alerts (alert_id, delivery_id) select alert_id, id from deliveries";
const COPY_BACK: &str = "insert into deliveries_before (id, alert_id, address, state, token, attempts, not_before, lease_until, \
     error, created_at, finished_at) \
     select d.id, m.alert_id, d.address, d.state, d.token, d.attempts, d.not_before, d.lease_until, d.error, d.created_at, d.finished_at \
     from deliveries d join delivery_alerts m on m.delivery_id = d.id where d.kind = 'alert'";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // On one connection: another one may still see the table that was dropped.
        let transaction = manager.get_connection().begin().await?;
        let manager = &SchemaManager::new(&transaction);
        manager
            .create_table(
                Table::create()
                    .table("deliveries_rebuilt")
                    .col(text("id").primary_key())
                    .col(text("kind"))
                    .col(text_null("subscription_id"))
                    .col(text("channel"))
                    .col(text("address"))
                    .col(text_null("content"))
                    .col(blob_null("message"))
                    .col(text("state"))
                    .col(big_integer("token"))
                    .col(integer("attempts"))
                    .col(integer("unknowns"))
                    .col(big_integer_null("handed_at"))
                    .col(big_integer("not_before"))
                    .col(big_integer_null("lease_until"))
                    .col(text_null("error"))
                    .col(big_integer("created_at"))
                    .col(big_integer_null("finished_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("delivery_alerts")
                    .col(text("alert_id").primary_key())
                    .col(text("delivery_id"))
                    .to_owned(),
            )
            .await?;
        let connection = manager.get_connection();
        connection.execute_unprepared(COPY).await?;
        connection.execute_unprepared(COPY_ALERTS).await?;
        manager
            .drop_table(Table::drop().table("deliveries").to_owned())
            .await?;
        manager
            .rename_table(
                Table::rename()
                    .table("deliveries_rebuilt", "deliveries")
                    .to_owned(),
            )
            .await?;
        for (name, table, columns) in [
            (
                "deliveries_by_state",
                "deliveries",
                vec!["state", "not_before"],
            ),
            (
                "deliveries_by_address",
                "deliveries",
                vec!["address", "created_at"],
            ),
            (
                "delivery_alerts_by_delivery",
                "delivery_alerts",
                vec!["delivery_id"],
            ),
        ] {
            let mut index = Index::create().name(name).table(table).to_owned();
            for column in columns {
                index.col(column);
            }
            manager.create_index(index).await?;
        }
        transaction.commit().await
    }

    /// Deliveries of one alert each go back; digests and letters have no place in the old table.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let transaction = manager.get_connection().begin().await?;
        let manager = &SchemaManager::new(&transaction);
        manager
            .create_table(
                Table::create()
                    .table("deliveries_before")
                    .col(text("id").primary_key())
                    .col(text_uniq("alert_id"))
                    .col(text("address"))
                    .col(text("state"))
                    .col(big_integer("token"))
                    .col(integer("attempts"))
                    .col(big_integer("not_before"))
                    .col(big_integer_null("lease_until"))
                    .col(text_null("error"))
                    .col(big_integer("created_at"))
                    .col(big_integer_null("finished_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .get_connection()
            .execute_unprepared(COPY_BACK)
            .await?;
        for table in ["deliveries", "delivery_alerts"] {
            let drop = Table::drop().table(table).to_owned();
            manager.drop_table(drop).await?;
        }
        let rename = Table::rename()
            .table("deliveries_before", "deliveries")
            .to_owned();
        manager.rename_table(rename).await?;
        transaction.commit().await
    }
}
