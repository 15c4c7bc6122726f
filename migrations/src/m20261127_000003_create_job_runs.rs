//! Job runs: one row a slot.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{create, drop, index, unique};

const TABLE: &str = "job_runs";

/// The statements that are to use this index repeat its condition word for word.
const OPEN: &str = "create index job_runs_open on job_runs (job, slot, shard) \
     where state in ('pending', 'running')";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(TABLE)
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
            .to_owned();
        create(
            manager,
            table,
            &[
                unique("job_runs_unique_slot", &["job", "slot", "shard"]),
                index("job_runs_by_state", &["state", "job", "slot"]),
            ],
        )
        .await?;
        manager.get_connection().execute_unprepared(OPEN).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, TABLE).await
    }
}
