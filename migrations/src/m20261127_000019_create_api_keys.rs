//! API keys, by the hash of their secret.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop};

const TABLE: &str = "api_keys";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(text("id").primary_key())
            .col(text("hash"))
            .col(text("name"))
            .col(text("scopes"))
            .col(big_integer("created_at"))
            .col(big_integer_null("expires_at"))
            .col(big_integer_null("revoked_at"))
            .col(big_integer_null("last_used_at"))
            .to_owned();
        create(manager, table, &[]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
