//! Repair: takes broken segments out of the lake, and rebuilds what can be rebuilt.
//!
//! Each row of the new segment is verified by a checksum, or comes from a segment that the broken
//! one replaced. The latter are counted separately, since later corrections of them may be undone.
//! All other rows are lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use marketlake_entities::database;
use marketlake_entities::records::segments::{Column, Entity, Model, Origin, SegmentState};
use marketlake_model::Millis;
use object_store::path::Path;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{CheckReport, Fault};
use crate::catalog::{segments, upload_intents};
use crate::error::LakeError;
use crate::ingest::publish::insert;
use crate::maintenance::Maintenance;
use crate::segment::codec::{Footer, HourChecksum, HourChecksums, Reader, written};
use crate::segment::encode::{Encoder, Segment, encode_rollups};
use crate::segment::merge::{Merge, Row, Source, in_memory};
use crate::segment::verify::{hour_checksums, verified_rows};
use crate::span::Point;
use crate::storage::checksum::sha256;
use crate::storage::object::Object;
use crate::storage::paths::ObjectKey;

/// Replaced segments that are named one by one.
const MAX_NAMED: usize = 3;

/// A segment in place of a broken one.
#[derive(Default)]
struct Replacement {
    segment: Option<Segment>,
    /// Verified rows of the broken segment.
    kept: i64,
    /// Rows of replaced segments, which may have been corrected since.
    restored: i64,
    /// The replaced segments that were read.
    replaced: Vec<String>,
}

impl Maintenance<'_> {
    /// Mends one segment, in one transaction.
    pub(super) async fn repair(
        self,
        segment: &Model,
        fault: &Fault,
        report: &mut CheckReport,
    ) -> Result<(), LakeError> {
        if let Fault::Rollups(_) = fault {
            self.rebuild_rollups(segment).await?;
            let done = format!("{}: rollups rebuilt from its samples", segment.path);
            report.repairs.push(done);
            return Ok(());
        }
        let rebuilt = self.rebuild_segment(segment).await?;
        self.set_aside(segment, rebuilt.segment.as_ref()).await?;
        report.count(segment, &rebuilt);
        Ok(())
    }

    /// Takes a live segment out of the lake, with another one, or none, in its place.
    pub(super) async fn set_aside(
        self,
        segment: &Model,
        replacement: Option<&Segment>,
    ) -> Result<(), LakeError> {
        let first = segment.hour.minute();
        let transaction = database::begin_write(self.lake.database()).await?;
        let now = database::clock(&transaction).await?;
        segments::lock(&transaction).await?;
        if segments::set_aside(&transaction, &[segment.id], now).await? != 1 {
            return Err(LakeError::Conflict { first });
        }
        if let Some(replacement) = replacement {
            insert(&transaction, first, replacement, now).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn rebuild_rollups(self, segment: &Model) -> Result<(), LakeError> {
        let samples = Object::samples(segment);
        let bytes = self.lake.store().read(&samples).await?;
        let mut merge = Merge::new(vec![Box::new(Reader::new(samples, bytes)?)], Vec::new())?;
        let first = segment.min_ts.minute();
        let mut part = encode_rollups(segment.tier, &segment.path, first, &mut merge)?;
        self.lake.ingest().write(vec![&mut part]).await?;
        let first = segment.hour.minute();
        let transaction = database::begin_write(self.lake.database()).await?;
        if !upload_intents::consume(&transaction, &[&part.key]).await? {
            return Err(LakeError::Conflict { first });
        }
        if let Some(replaced) = &segment.rollup_path {
            let now = database::clock(&transaction).await?;
            upload_intents::abandon(&transaction, replaced, now).await?;
        }
        let updated = Entity::update_many()
            .col_expr(Column::RollupPath, Expr::value(part.key.to_string()))
            .col_expr(Column::RollupByteCount, Expr::value(part.sums.byte_count))
            .col_expr(Column::RollupSha256, Expr::value(part.sums.sha256.clone()))
            .col_expr(Column::RollupCrcs, Expr::value(part.sums.crcs.clone()))
            .filter(Column::Id.eq(segment.id))
            .filter(Column::State.eq(SegmentState::Live))
            .exec(&transaction)
            .await?;
        if updated.rows_affected != 1 {
            return Err(LakeError::Conflict { first });
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes what can be had of a segment's rows as a new one.
    async fn rebuild_segment(self, segment: &Model) -> Result<Replacement, LakeError> {
        let hours = self.stated_hours(segment).await?;
        let path = Path::from(segment.path.as_str());
        let bytes = present(self.lake.store().read_unchecked(&path).await)?;
        let object = Object::samples(segment);
        let mut base = None;
        let mut sources: Vec<Source> = Vec::new();
        let mut rebuilt = Replacement::default();
        for replaced in segments::replaced_by(self.lake.database(), segment).await? {
            let object = Object::samples(&replaced);
            let Some(bytes) = present(self.lake.store().read(&object).await)? else {
                continue;
            };
            if sha256(&bytes) == replaced.sha256 {
                base = base.max(written(&object, &bytes)?);
                sources.push(Box::new(Reader::new(object, bytes)?));
                rebuilt.replaced.push(replaced.path);
            }
        }
        if let Some(bytes) = &bytes {
            base = base.max(written_of_damaged(&object, bytes));
            let verified = verified_rows(&object, bytes, hours.as_ref());
            sources.push(in_memory(verified.into()));
        } else {
            sources.push(in_memory(Arc::default()));
        }
        let sure = sources.len() - 1;
        let mut merge = Merge::new(sources, Vec::new())?;
        let mut encoder = Encoder::new(segment.tier)?;
        let (mut rows, mut points) = (Vec::new(), Vec::new());
        while let Some(metric) = merge.next_rows(&mut rows)? {
            points.clear();
            for hour in rows.chunk_by(|a, b| a.point.ts.hour() == b.point.ts.hour()) {
                let first = points.len();
                let kept = merged(hour, sure, &mut points);
                let hour = points[first..].first().map(|first| first.ts.hour());
                let stated = hour
                    .zip(hours.as_ref())
                    .and_then(|(hour, hours)| hours.get(&(metric.clone(), hour)));
                let is_whole =
                    stated == Some(&HourChecksum::from_points(&metric, &points[first..]));
                let all = points.len() - first;
                let kept = if is_whole { all } else { kept };
                rebuilt.kept += count(kept);
                rebuilt.restored += count(all - kept);
            }
            encoder.push(&metric, &points)?;
        }
        if let Some(mut segment) = encoder.finish(Origin::Compact, base)? {
            segment.write(self.lake).await?;
            rebuilt.segment = Some(segment);
        }
        Ok(rebuilt)
    }

    /// Hour checksums that a segment's rollups state, where they are intact.
    pub(crate) async fn stated_hours(
        self,
        segment: &Model,
    ) -> Result<Option<HourChecksums>, LakeError> {
        let Some(object) = Object::rollups(segment) else {
            return Ok(None);
        };
        let read = present(self.lake.store().read(&object).await)?;
        Ok(read.and_then(|bytes| hour_checksums(&object, bytes)))
    }
}

/// One row a minute of an hour's rows: the sure one, else the newest of the replaced segments.
/// Returns how many are sure.
fn merged(hour: &[Row], sure: usize, points: &mut Vec<Point>) -> usize {
    let mut kept = 0;
    for same in hour.chunk_by(|a, b| a.point.ts == b.point.ts) {
        if let Some(last) = same.last() {
            kept += usize::from(last.source == sure);
            points.push(last.point);
        }
    }
    kept
}

/// Write time of a broken segment.
fn written_of_damaged(object: &Object, bytes: &Bytes) -> Option<Millis> {
    let footer = catch_unwind(AssertUnwindSafe(|| Footer::read(object, bytes).ok()));
    let stated = footer.ok().flatten()?.statement().ok().flatten();
    let key = || ObjectKey::parse(&object.path).map(|key| key.created_at());
    stated.map(|stated| stated.written()).or_else(key)
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

impl CheckReport {
    /// Notes what became of a broken segment.
    fn count(&mut self, segment: &Model, rebuilt: &Replacement) {
        let (kept, restored) = (rebuilt.kept, rebuilt.restored);
        let lost = (segment.row_count - kept - restored).max(0);
        self.lost += lost;
        self.restored += restored;
        self.rows += kept + restored;
        let from = if restored == 0 {
            String::new()
        } else {
            let named: Vec<&str> = rebuilt.replaced.iter().map(String::as_str).collect();
            let more = named.len().saturating_sub(MAX_NAMED);
            let mut names = named[..named.len() - more].join(", ");
            if more > 0 {
                names += &format!(" and {more} more");
            }
            format!(
                "; {restored} rows restored from {names}, which it had replaced: \
                 later corrections of them may be undone"
            )
        };
        self.repairs.push(format!(
            "{}: set aside; {kept} of {} rows rebuilt, {lost} lost ({} to {}){from}",
            segment.path,
            segment.row_count,
            segment.min_ts.minute(),
            segment.max_ts.minute()
        ));
    }
}

/// `None` for an object that is gone or damaged.
fn present(read: Result<Bytes, LakeError>) -> Result<Option<Bytes>, LakeError> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(LakeError::Corrupt { .. } | LakeError::Store(object_store::Error::NotFound { .. })) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
