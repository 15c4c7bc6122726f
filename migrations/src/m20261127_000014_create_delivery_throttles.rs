//! Lanes, destinations and addresses whose deliveries wait.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop};

const TABLE: &str = "delivery_throttles";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(text("scope"))
            .col(text("name"))
            .col(big_integer("until"))
            .col(integer("failures"))
            .col(text("reason"))
            .col(big_integer("set_at"))
            .primary_key(Index::create().col("scope").col("name"))
            .to_owned();
        create(manager, table, &[]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
