//! Creates `job_runs`.

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
                    .table("job_runs")
                    .col(big_pk_auto("id"))
                    .col(text("job"))
                    .col(big_integer("slot"))
                    .col(integer("shard"))
                    .col(text("state"))
                    .col(big_integer("token"))
                    .col(integer("attempts"))
                    .col(big_integer("not_before"))
                    .col(big_integer_null("lease_until"))
                    .col(text_null("worker"))
                    .col(text_null("outcome"))
                    .col(text_null("error"))
                    .col(big_integer("created_at"))
                    .col(big_integer_null("started_at"))
                    .col(big_integer_null("finished_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("job_runs_one_a_slot")
                    .table("job_runs")
                    .col("job")
                    .col("slot")
                    .col("shard")
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("job_runs_by_state")
                    .table("job_runs")
                    .col("state")
                    .col("job")
                    .col("slot")
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("job_runs").to_owned())
            .await
    }
}
