//! Changes of the states of rules.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index, unique};

const TABLE: &str = "transitions";

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
            .col(text("from_state"))
            .col(text("to_state"))
            .col(text("resume_state"))
            .col(integer("streak"))
            .col(text("reason"))
            .col(double_null("ratio"))
            .to_owned();
        create(
            manager,
            table,
            &[
                unique(
                    "transitions_unique_minute",
                    &["subscription_id", "metric", "ts"],
                ),
                index("transitions_by_ts", &["ts"]),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
