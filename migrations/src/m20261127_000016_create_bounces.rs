//! Bounces and complaints of mail servers.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index, unique};

const TABLE: &str = "bounces";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
            .col(big_pk_auto("id"))
            .col(text("address"))
            .col(text("delivery_id"))
            .col(text("kind"))
            .col(text("status"))
            .col(text("detail"))
            .col(big_integer("created_at"))
            .to_owned();
        create(
            manager,
            table,
            &[
                unique("bounces_unique_event", &["delivery_id", "kind", "status"]),
                index("bounces_by_address", &["address", "created_at"]),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
