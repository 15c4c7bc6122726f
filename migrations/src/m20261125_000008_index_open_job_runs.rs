//! Indexes the slots that are not done yet, so that the look for the next one costs the same after years of done ones.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The condition stands in the same words in the statements that are to use it.
        let sql = "create index job_runs_open on job_runs (job, slot, shard) where state in ('pending', 'running')";
        manager.get_connection().execute_unprepared(sql).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = "drop index job_runs_open";
        manager.get_connection().execute_unprepared(sql).await?;
        Ok(())
    }
}
