//! One row a Parquet object that the lake has or had. Only what is live here is part of the lake.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// What kind of rows a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Tier {
    /// Samples as one ingest wrote them.
    Raw,
    /// An hour's samples, sorted and merged.
    Hour,
    /// A day's samples, sorted and merged.
    Day,
}

/// How a segment came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Origin {
    /// New samples, from a feed.
    Ingest,
    /// New samples, from files, perhaps with old ones of the same hour.
    Import,
    /// Old samples only, rewritten.
    Compact,
}

/// Whether a segment is part of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum State {
    /// Part of every answer.
    Live,
    /// Replaced; kept for running readers until vacuum deletes it.
    Retired,
    /// Found broken and taken out of the lake; its object, where there is one, stays to be looked at.
    SetAside,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "segments")]
pub struct Model {
    /// Rises with each commit.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Key of the object below the store's root.
    #[sea_orm(unique)]
    pub path: String,
    /// What kind of rows it holds.
    pub tier: Tier,
    /// How it came to be.
    pub origin: Origin,
    /// Whether it is part of the lake.
    pub state: State,
    /// Start of the hour that its samples lie in; of the day, for a day's segment.
    pub hour: Millis,
    /// The earliest `ts` in it.
    pub min_ts: Millis,
    /// The latest `ts` in it.
    pub max_ts: Millis,
    /// How many rows it holds.
    pub row_count: i64,
    /// How many metrics it holds.
    pub metric_count: i64,
    /// Size of the object, in bytes.
    pub byte_count: i64,
    /// SHA-256 of the object, in hexadecimal.
    pub sha256: String,
    /// CRC-32 of each 64 KiB of the object, four bytes each, little endian: each read is checked against it.
    pub crcs: Option<Vec<u8>>,
    /// Key of the object with its rollups, a row a metric and hour; raw segments have none.
    pub rollup_path: Option<String>,
    /// Size of the rollups' object, in bytes.
    pub rollup_byte_count: Option<i64>,
    /// SHA-256 of the rollups' object.
    pub rollup_sha256: Option<String>,
    /// CRC-32 of each 64 KiB of the rollups' object.
    pub rollup_crcs: Option<Vec<u8>>,
    /// When it became live.
    pub created_at: Millis,
    /// When it was replaced.
    pub retired_at: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
