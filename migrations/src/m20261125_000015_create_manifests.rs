//! Creates `manifests`: what Athena was last told of each day.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("manifests")
                    .col(big_integer("day").primary_key())
                    .col(text("segments"))
                    .col(big_integer("published_at"))
                    .col(big_integer_null("late_at"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("manifests").to_owned())
            .await
    }
}
