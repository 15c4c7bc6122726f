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

/// What the lake holds at the moment.
#[derive(SimpleObject)]
struct LakeFigures {
    /// How many live segments there are, each a Parquet object of samples.
    segments: i64,
    /// How many samples they hold.
    samples: i64,
    /// Their size, in bytes; rollups not counted.
    bytes: i64,
    /// The size of the rollups, a row a metric and hour, in bytes.
    rollup_bytes: i64,
    /// How many metrics were ever recorded.
    metrics: i64,
    /// The oldest minute with a sample; null where there is none.
    oldest: Option<DateTime>,
    /// The newest minute with a sample; null where there is none.
    newest: Option<DateTime>,
    /// How long ago the newest minute began, in seconds; null where there is none. Of a lake that
    /// keeps up it is below 120.
    freshness_seconds: Option<i64>,
}

/// How far a segment's samples are merged.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Tier")]
enum SegmentTier {
    /// As one ingest wrote them.
    Raw,
    /// An hour's.
    Hour,
    /// A day's.
    Day,
}

/// Whether a segment is part of the lake.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Live")]
enum SegmentState {
    /// Part of every answer.
    Live,
    /// Replaced; to be deleted.
    Retired,
    /// Found broken and taken out.
    SetAside,
}

/// One Parquet object.
#[derive(SimpleObject)]
pub(super) struct Segment {
    /// Its key.
    pub(super) id: ID,
    /// Key of the object below the store's root.
    path: String,
    /// How far its samples are merged.
    tier: SegmentTier,
    /// Whether it is part of the lake.
    state: SegmentState,
    /// The earliest minute in it.
    from: DateTime,
    /// The latest minute in it.
    to: DateTime,
    /// How many samples it holds.
    samples: i64,
    /// How many metrics it holds.
    metrics: i64,
    /// Its size, in bytes.
    bytes: i64,
    /// SHA-256 of the object, in hexadecimal.
    sha256: String,
    /// When it became live.
    created_at: DateTime,
}

/// What ids of segments begin with.
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
    /// What the lake holds at the moment.
    #[graphql(guard = "RequireScope(Scope::Read)")]
    async fn lake(&self, context: &Context<'_>) -> Result<LakeFigures> {
        let lake = context.data::<Arc<Lake>>()?;
        let figures = lake.stats().await.map_err(errors::lake)?;
        let bounds = lake.bounds().await.map_err(errors::lake)?;
        let now = lake.now().await;
        let now = now.map_err(|error| errors::unavailable(&error))?;
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

    /// The segments, the newest first; those too that are not live any more and not deleted yet.
    #[graphql(
        guard = "RequireScope(Scope::Admin)",
        complexity = "paging::complexity(first.or(last), child_complexity)"
    )]
    async fn segments(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100, if none is given.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, counted from its end.")] last: Option<i32>,
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
