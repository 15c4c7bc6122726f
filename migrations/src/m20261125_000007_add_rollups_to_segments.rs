//! Adds rollups and checksums to `segments`, and the index by which the planner finds what is to be compacted.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COLUMNS: [&str; 5] = [
    "crcs",
    "rollup_path",
    "rollup_byte_count",
    "rollup_sha256",
    "rollup_crcs",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            blob_null(COLUMNS[0]),
            text_null(COLUMNS[1]),
            big_integer_null(COLUMNS[2]),
            text_null(COLUMNS[3]),
            blob_null(COLUMNS[4]),
        ];
        for column in columns {
            // SQLite adds one column a statement.
            manager
                .alter_table(
                    Table::alter()
                        .table("segments")
                        .add_column(column)
                        .to_owned(),
                )
                .await?;
        }
        manager
            .create_index(
                Index::create()
                    .name("segments_by_state_and_tier")
                    .table("segments")
                    .col("state")
                    .col("tier")
                    .col("hour")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(
                Index::drop()
                    .name("segments_by_state_and_tier")
                    .table("segments")
                    .to_owned(),
            )
            .await?;
        for column in COLUMNS {
            manager
                .alter_table(
                    Table::alter()
                        .table("segments")
                        .drop_column(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }
}
