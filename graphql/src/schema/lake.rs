//! Statistics and segments of the lake.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use marketlake_entities::records::segments::{Model, SegmentState as Live, Tier};
use marketlake_http::auth::scope::Scope;
use marketlake_lake::Lake;

use super::errors;
use super::guard::RequireScope;
use super::paging::{self, Page, PageArgs, Paging};
use super::scalars::DateTime;

/// Size and extent of the lake now.
#[derive(SimpleObject)]
struct LakeFigures {
    /// Number of live segments, each a Parquet object of samples.
    segments: i64,
    /// Number of samples in live segments.
    samples: i64,
    /// Their size, in bytes; rollups not counted.
    bytes: i64,
    /// Size of the rollups, a row per metric and hour, in bytes.
    rollup_bytes: i64,
    /// Number of metrics ever recorded.
    metrics: i64,
    /// The oldest minute with a sample; null where there is none.
    oldest: Option<DateTime>,
    /// The newest minute with a sample; null where there is none.
    newest: Option<DateTime>,
    /// Age of the newest minute, from its start, in seconds; null where the lake is empty. Below
    /// 120 in a lake that keeps up.
    freshness_seconds: Option<i64>,
}

/// Merge level of a segment.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Tier")]
enum SegmentTier {
    /// Raw, as one ingest wrote it.
    Raw,
    /// Samples of an hour.
    Hour,
    /// Samples of a day.
    Day,
}

/// Whether a segment is part of the lake.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Live")]
enum SegmentState {
    /// Part of the lake, and of every query.
    Live,
    /// Replaced; to be deleted.
    Retired,
    /// Damaged, and excluded.
    SetAside,
}

/// Parquet object of samples.
#[derive(SimpleObject)]
pub(super) struct Segment {
    /// Id of the segment.
    pub(super) id: ID,
    /// Key of the object below the store's root.
    path: String,
    /// Merge level of its samples.
    tier: SegmentTier,
    /// Whether it is part of the lake.
    state: SegmentState,
    /// The earliest minute in it.
    from: DateTime,
    /// The latest minute in it.
    to: DateTime,
    /// Number of samples in it.
    samples: i64,
    /// Number of metrics in it.
    metrics: i64,
    /// Its size, in bytes.
    bytes: i64,
    /// SHA-256 of the object, in hexadecimal.
    sha256: String,
    /// Time at which it became live.
    created_at: DateTime,
}

/// Prefix of the ids of segments.
pub(super) const SEGMENT: &str = "segment/";

impl From<Model> for Segment {
    fn from(row: Model) -> Self {
        Self {
            id: format!("{SEGMENT}{}", row.id).into(),
            path: row.path,
            tier: row.tier.into(),
            state: row.state.into(),
            from: row.min_ts.into(),
            to: row.max_ts.into(),
            samples: row.row_count,
            metrics: row.metric_count,
            bytes: row.byte_count,
            sha256: row.sha256,
            created_at: row.created_at.into(),
        }
    }
}

#[derive(Default)]
pub(super) struct LakeQuery;

#[Object]
impl LakeQuery {
    /// Size and extent of the lake now.
    #[graphql(guard = "RequireScope(Scope::Read)")]
    async fn lake(&self, context: &Context<'_>) -> Result<LakeFigures> {
        let lake = context.data::<Arc<Lake>>()?;
        let figures = lake.stats().await.map_err(errors::lake)?;
        let bounds = lake.bounds().await.map_err(errors::lake)?;
        let now = errors::now(context).await?;
        let age = |newest: marketlake_model::Minute| now.since(newest.start()) / 1_000;
        Ok(LakeFigures {
            segments: figures.segments,
            samples: figures.samples,
            bytes: figures.bytes,
            rollup_bytes: figures.rollup_bytes,
            metrics: figures.metrics,
            oldest: bounds.map(|span| span.from.into()),
            newest: bounds.map(|span| span.to.into()),
            freshness_seconds: bounds.map(|span| age(span.to)),
        })
    }

    /// The segments, newest first, including those that are no longer live but not deleted yet.
    #[graphql(
        guard = "RequireScope(Scope::Admin)",
        complexity = "paging::complexity(first.or(last), child_complexity)"
    )]
    async fn segments(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100 by default.")] first: Option<i32>,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Cursor before which the page ends.")] before: Option<String>,
    ) -> Result<Page<Segment>> {
        let lake = context.data::<Arc<Lake>>()?;
        let paging = Paging::new(&PageArgs {
            first,
            after,
            last,
            before,
        })?;
        let read = paging.read(|place| place.parse().ok())?;
        let page = lake.segments(read.after, read.before, read.backwards, read.limit);
        let page = page.await.map_err(errors::lake)?;
        Ok(paging.of_read(page, |row| (row.id.to_string(), row.into())))
    }
}
