//! Catalog of segments: one row per Parquet object. Only live ones are part of the lake.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// Tier of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Tier {
    /// Samples of one ingest run.
    Raw,
    /// Samples of an hour, sorted and merged.
    Hour,
    /// Samples of a day, sorted and merged.
    Day,
}

/// Origin of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Origin {
    /// New samples, from a feed.
    Ingest,
    /// New samples from files, with existing ones of the same hour.
    Import,
    /// Rewritten existing samples.
    Compact,
}

/// State of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum SegmentState {
    /// Part of the lake.
    Live,
    /// Replaced; kept for running readers until vacuum deletes it.
    Retired,
    /// Broken and taken out of the lake; its object is kept for inspection.
    SetAside,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "segments")]
pub struct Model {
    /// Rises with each commit.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Object key, relative to the store's root.
    #[sea_orm(unique)]
    pub path: String,
    /// Tier.
    pub tier: Tier,
    /// Origin.
    pub origin: Origin,
    /// State.
    pub state: SegmentState,
    /// Start of the hour of its samples; of the day, for a day's segment.
    pub hour: Millis,
    /// Earliest `ts`.
    pub min_ts: Millis,
    /// Latest `ts`.
    pub max_ts: Millis,
    /// Number of rows.
    pub row_count: i64,
    /// Number of metrics.
    pub metric_count: i64,
    /// Size of the object, in bytes.
    pub byte_count: i64,
    /// SHA-256 of the object, in hexadecimal.
    pub sha256: String,
    /// CRC-32 of each 64 KiB of the object, four bytes each, little endian; each read is verified.
    pub crcs: Option<Vec<u8>>,
    /// Key of the object with its rollups, one row per metric and hour; raw segments have none.
    pub rollup_path: Option<String>,
    /// Size of the rollups' object, in bytes.
    pub rollup_byte_count: Option<i64>,
    /// SHA-256 of the rollups' object.
    pub rollup_sha256: Option<String>,
    /// CRC-32 of each 64 KiB of the rollups' object.
    pub rollup_crcs: Option<Vec<u8>>,
    /// Time of the commit.
    pub created_at: Millis,
    /// Time of its replacement.
    pub retired_at: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
