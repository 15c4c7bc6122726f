//! Incidents that the watchdog found.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index};

const TABLE: &str = "incidents";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(big_pk_auto("id"))
            .col(text("kind"))
            .col(text("subject"))
            .col(text("detail"))
            .col(big_integer("opened_at"))
            .col(big_integer_null("closed_at"))
            .to_owned();
        create(
            manager,
            table,
            &[index(
                "incidents_by_subject",
                &["kind", "subject", "closed_at"],
            )],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
