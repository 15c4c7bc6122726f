//! Creates `job_runs`.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("job_runs")
                    .col(
                        ColumnDef::new("id")
                            .big_integer()
                            .not_null()
                            .auto_increment()
                            .primary_key(),
                    )
                    .col(ColumnDef::new("job").text().not_null())
                    .col(ColumnDef::new("slot").big_integer().not_null())
                    .col(ColumnDef::new("shard").integer().not_null())
                    .col(ColumnDef::new("state").text().not_null())
                    .col(ColumnDef::new("token").big_integer().not_null())
                    .col(ColumnDef::new("attempts").integer().not_null())
                    .col(ColumnDef::new("not_before").big_integer().not_null())
                    .col(ColumnDef::new("lease_until").big_integer())
                    .col(ColumnDef::new("worker").text())
                    .col(ColumnDef::new("outcome").text())
                    .col(ColumnDef::new("error").text())
                    .col(ColumnDef::new("created_at").big_integer().not_null())
                    .col(ColumnDef::new("started_at").big_integer())
                    .col(ColumnDef::new("finished_at").big_integer())
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
