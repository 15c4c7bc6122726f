//! Identity of the lake that this catalog is of: one row.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop};

const TABLE: &str = "lake_identity";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(integer("id").primary_key())
            .col(text("lake_id"))
            .col(big_integer("sequence"))
            .col(text("token"))
            .col(text_null("previous_token"))
            .to_owned();
        create(manager, table, &[]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
