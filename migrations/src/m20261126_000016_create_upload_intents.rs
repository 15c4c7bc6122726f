//! Creates `upload_intents`, the keys of objects that are about to be written, and `lake_identity`,
//! which lake the catalog belongs to and how many batches of deletions it has begun.

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
                    .table("upload_intents")
                    .col(text("key").primary_key())
                    .col(big_integer("created_at"))
                    .col(big_integer_null("keep_until"))
                    .col(big_integer_null("condemned_at"))
                    .col(big_integer_null("deleted_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("lake_identity")
                    .col(integer("id").primary_key())
                    .col(text("lake_id"))
                    .col(big_integer("sequence"))
                    .col(text("token"))
                    .col(text_null("previous_token"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["lake_identity", "upload_intents"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}
