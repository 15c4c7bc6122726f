//! Encoder of sorted series to a segment's objects: its samples, and their rollups.

use bytes::Bytes;
use marketlake_entities::records::segments::{Origin, Tier};
use marketlake_model::{Metric, Millis, Minute};
use object_store::path::Path;

use crate::error::LakeError;
use crate::segment::codec::{RollupWriter, Writer};
use crate::segment::merge::Merge;
use crate::segment::statement::Statement;
use crate::span::{Point, Span};
use crate::storage::checksum::Checksums;
use crate::storage::paths;
use crate::storage::store::Store;

/// A segment that is encoded, and perhaps written; it is invisible before it is in the catalog.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) tier: Tier,
    pub(crate) origin: Origin,
    pub(crate) span: Span,
    pub(crate) row_count: i64,
    pub(crate) metric_count: i64,
    pub(crate) samples: Part,
    /// Raw segments have none: they live for an hour.
    pub(crate) rollups: Option<Part>,
}

/// One object of a segment.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) key: Path,
    pub(crate) sums: Checksums,
    /// Empty once it is written.
    bytes: Bytes,
}

impl Segment {
    /// Encodes all of a merge, of whose old rows the newest were written at `base`. `None` where it
    /// has no row.
    pub(crate) fn encode(
        tier: Tier,
        origin: Origin,
        base: Option<Millis>,
        merge: &mut Merge,
    ) -> Result<Option<Self>, LakeError> {
        let mut encoder = Encoder::new(tier)?;
        let mut points = Vec::new();
        while let Some(metric) = merge.next(&mut points)? {
            encoder.push(&metric, &points)?;
        }
        encoder.finish(origin, base)
    }

    /// Keys of its objects.
    pub(crate) fn keys(&self) -> Vec<&Path> {
        let parts = std::iter::once(&self.samples).chain(&self.rollups);
        parts.map(|part| &part.key).collect()
    }

    /// Size of its objects, in bytes.
    pub(crate) fn byte_count(&self) -> i64 {
        let rollups = self.rollups.as_ref();
        self.samples.sums.byte_count + rollups.map_or(0, |part| part.sums.byte_count)
    }
}

impl Part {
    pub(crate) fn new(key: Path, bytes: Bytes) -> Self {
        Self {
            key,
            sums: Checksums::from_bytes(&bytes),
            bytes,
        }
    }

    /// Writes it to the store; its intent must be committed before.
    pub(crate) async fn put(&mut self, store: &Store) -> Result<(), LakeError> {
        store.put(&self.key, std::mem::take(&mut self.bytes)).await
    }
}

/// Takes one metric after the other.
pub(crate) struct Encoder {
    tier: Tier,
    samples: Writer,
    rollups: Option<RollupWriter>,
    span: Option<Span>,
    row_count: i64,
    metric_count: i64,
}

impl Encoder {
    pub(crate) fn new(tier: Tier) -> Result<Self, LakeError> {
        let rollups = match tier {
            Tier::Raw => None,
            Tier::Hour | Tier::Day => Some(RollupWriter::new(tier)?),
        };
        Ok(Self {
            tier,
            samples: Writer::new(tier)?,
            rollups,
            span: None,
            row_count: 0,
            metric_count: 0,
        })
    }

    /// Takes all points of a metric; metrics must rise.
    pub(crate) fn push(&mut self, metric: &Metric, points: &[Point]) -> Result<(), LakeError> {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Ok(());
        };
        self.samples.push(metric, points)?;
        if let Some(writer) = &mut self.rollups {
            writer.push(metric, points)?;
        }
        let span = self.span.get_or_insert(Span {
            from: first.ts,
            to: last.ts,
        });
        span.from = span.from.min(first.ts);
        span.to = span.to.max(last.ts);
        self.row_count += i64::try_from(points.len()).unwrap_or(i64::MAX);
        self.metric_count += 1;
        Ok(())
    }

    /// The segment, of whose old rows the newest were written at `base`; `None` without a row.
    pub(crate) fn finish(
        self,
        origin: Origin,
        base: Option<Millis>,
    ) -> Result<Option<Segment>, LakeError> {
        let Some(span) = self.span else {
            return Ok(None);
        };
        let tier = self.tier;
        let key = paths::new_key(tier, span.from);
        let rollups = match self.rollups {
            Some(writer) => {
                let rollup_key = paths::new_rollup_key(tier, span.from);
                let statement = Statement::for_rollups(tier, key.as_ref(), created(&rollup_key));
                Some(Part::new(rollup_key, writer.finish(&statement)?))
            }
            None => None,
        };
        let statement = Statement::for_samples(tier, origin, created(&key), base);
        let samples = self.samples.finish_with_statement(statement)?;
        Ok(Some(Segment {
            tier,
            origin,
            span,
            row_count: self.row_count,
            metric_count: self.metric_count,
            samples: Part::new(key, samples),
            rollups,
        }))
    }
}

/// Encodes the rollups of a segment's samples alone.
pub(crate) fn encode_rollups(
    tier: Tier,
    samples: &str,
    first: Minute,
    merge: &mut Merge,
) -> Result<Part, LakeError> {
    let mut writer = RollupWriter::new(tier)?;
    let mut points = Vec::new();
    while let Some(metric) = merge.next(&mut points)? {
        writer.push(&metric, &points)?;
    }
    let key = paths::new_rollup_key(tier, first);
    let statement = Statement::for_rollups(tier, samples, created(&key));
    Ok(Part::new(key, writer.finish(&statement)?))
}

/// Creation time of a key.
fn created(key: &Path) -> Millis {
    paths::parse(key).map_or(Millis(0), |key| key.created_at())
}
