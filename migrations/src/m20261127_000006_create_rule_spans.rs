//! Revisions of rules, each with the minutes that it was in force for.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index};

const TABLE: &str = "rule_spans";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(big_pk_auto("id"))
            .col(text("subscription_id"))
            .col(integer("revision"))
            .col(text("spec"))
            .col(big_integer("from_ts"))
            .col(big_integer_null("to_ts"))
            .to_owned();
        create(
            manager,
            table,
            &[
                index(
                    "rule_spans_by_subscription",
                    &["subscription_id", "from_ts"],
                ),
                index("rule_spans_by_end", &["to_ts"]),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
