//! Objects that are about to be written, or to be deleted.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop};

const TABLE: &str = "upload_intents";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(text("key").primary_key())
            .col(big_integer("created_at"))
            .col(big_integer_null("keep_until"))
            .col(big_integer_null("condemned_at"))
            .col(big_integer_null("deleted_at"))
            .to_owned();
        create(manager, table, &[]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
