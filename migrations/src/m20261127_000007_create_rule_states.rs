//! States of rules, one row a subscription and metric.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop};

const TABLE: &str = "rule_states";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(text("subscription_id"))
            .col(text("metric"))
            .col(text("state"))
            .col(text("resume_state"))
            .col(integer("streak"))
            .col(big_integer("since"))
            .primary_key(Index::create().col("subscription_id").col("metric"))
            .to_owned();
        create(manager, table, &[]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
