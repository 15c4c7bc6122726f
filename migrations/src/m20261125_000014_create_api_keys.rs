//! Creates `api_keys`, and gives `subscriptions` an owner who comes with a key or a token of an identity provider.

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
                    .table("api_keys")
                    .col(text("id").primary_key())
                    .col(text("hash"))
                    .col(text("name"))
                    .col(text("scopes"))
                    .col(big_integer("created_at"))
                    .col(big_integer_null("expires_at"))
                    .col(big_integer_null("revoked_at"))
                    .col(big_integer_null("last_used_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .alter_table(
                Table::alter()
                    .table("subscriptions")
                    .add_column(text_null("owner"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("subscriptions_by_owner")
                    .table("subscriptions")
                    .col("owner")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(
                Index::drop()
                    .name("subscriptions_by_owner")
                    .table("subscriptions")
                    .to_owned(),
            )
            .await?;
        manager
            .alter_table(
                Table::alter()
                    .table("subscriptions")
                    .drop_column("owner")
                    .to_owned(),
            )
            .await?;
        manager
            .drop_table(Table::drop().table("api_keys").to_owned())
            .await
    }
}
