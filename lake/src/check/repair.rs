//! Takes what is broken out of the lake, and rebuilds what can be rebuilt.
//!
//! A segment's rows come back from two places: the segments in whose place it was written, as long as vacuum has not deleted them; and what can
//! still be read of itself, hour by hour, where that sums up to its rollups.

use std::collections::HashMap;

use bytes::Bytes;
use marketlake_entities::records::segments::{Column, Entity, Model, Origin, State};
use marketlake_entities::{Metric, Minute, database};
use object_store::path::Path;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{Fault, Report};
use crate::codec::{Reader, read_rollups, row_groups};
use crate::encode::{Part, Segment, encode_rollups};
use crate::merge::{Merge, Source, in_memory};
use crate::object::Object;
use crate::rollup::{Rollup, rollups};
use crate::rows::Rows;
use crate::stage::insert;
use crate::{Lake, LakeError, Point, catalog, intents, paths};

impl Lake {
    /// Mends one segment, in one transaction.
    pub(super) async fn repair(
        &self,
        segment: &Model,
        fault: &Fault,
        report: &mut Report,
    ) -> Result<(), LakeError> {
        if let Fault::Rollups(_) = fault {
            self.rebuild_rollups(segment).await?;
            let done = format!("{}: rollups rebuilt from its samples", segment.path);
            report.repairs.push(done);
            return Ok(());
        }
        let rebuilt = self.rebuild(segment).await?;
        let rows = rebuilt.as_ref().map_or(0, |rebuilt| rebuilt.row_count);
        let transaction = database::begin_write(self.database()).await?;
        let now = database::clock(&transaction).await?;
        catalog::lock(&transaction).await?;
        let taken_out = Entity::update_many()
            .col_expr(Column::State, Expr::value(State::SetAside))
            .col_expr(Column::RetiredAt, Expr::value(now.0))
            .filter(Column::Id.eq(segment.id))
            .filter(Column::State.eq(State::Live))
            .exec(&transaction)
            .await?;
        if taken_out.rows_affected != 1 {
            let first = segment.hour.minute();
            return Err(LakeError::Moved { first });
        }
        if let Some(rebuilt) = &rebuilt {
            insert(&transaction, segment.hour.minute(), rebuilt, now).await?;
        }
        transaction.commit().await?;
        let lost = (segment.row_count - rows).max(0);
        report.lost += lost;
        report.rows += rows;
        report.repairs.push(format!(
            "{}: set aside; {rows} of {} rows rebuilt, {lost} lost ({} to {})",
            segment.path,
            segment.row_count,
            segment.min_ts.minute(),
            segment.max_ts.minute()
        ));
        Ok(())
    }

    async fn rebuild_rollups(&self, segment: &Model) -> Result<(), LakeError> {
        let samples = Object::samples(segment);
        let bytes = self.store().read(&samples).await?;
        let mut merge = Merge::new(vec![Box::new(Reader::new(samples, bytes)?)], Vec::new())?;
        let encoded = encode_rollups(segment.tier, &mut merge)?;
        let key = paths::new_rollup_key(segment.tier, segment.min_ts.minute());
        let mut part = Part::new(key, encoded);
        self.write(vec![&mut part]).await?;
        let first = segment.hour.minute();
        let transaction = database::begin_write(self.database()).await?;
        if !intents::consume(&transaction, &[&part.key]).await? {
            return Err(LakeError::Moved { first });
        }
        if let Some(replaced) = &segment.rollup_path {
            let now = database::clock(&transaction).await?;
            intents::abandon(&transaction, replaced, now).await?;
        }
        let updated = Entity::update_many()
            .col_expr(Column::RollupPath, Expr::value(part.key.to_string()))
            .col_expr(Column::RollupByteCount, Expr::value(part.sums.byte_count))
            .col_expr(Column::RollupSha256, Expr::value(part.sums.sha256.clone()))
            .col_expr(Column::RollupCrcs, Expr::value(part.sums.crcs.clone()))
            .filter(Column::Id.eq(segment.id))
            .filter(Column::State.eq(State::Live))
            .exec(&transaction)
            .await?;
        if updated.rows_affected != 1 {
            return Err(LakeError::Moved { first });
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes what can be had of a segment's rows as a new one.
    async fn rebuild(&self, segment: &Model) -> Result<Option<Segment>, LakeError> {
        let mut sources: Vec<Source> = Vec::new();
        for replaced in catalog::replaced_by(self.database(), segment).await? {
            let object = Object::samples(&replaced);
            if let Some(bytes) = present(self.store().read(&object).await)? {
                sources.push(Box::new(Reader::new(object, bytes)?));
            }
        }
        let salvaged = self.salvage(segment).await?;
        if !salvaged.is_empty() {
            sources.push(in_memory(salvaged.into()));
        }
        let mut merge = Merge::new(sources, Vec::new())?;
        let rebuilt = Segment::encode(segment.tier, Origin::Compact, &mut merge)?;
        let Some(mut rebuilt) = rebuilt else {
            return Ok(None);
        };
        rebuilt.write(self).await?;
        Ok(Some(rebuilt))
    }

    /// The rows of a damaged object that its rollups vouch for.
    async fn salvage(&self, segment: &Model) -> Result<Rows, LakeError> {
        let Some(rollup_object) = Object::rollups(segment) else {
            return Ok(Rows::default());
        };
        let Some(bytes) = present(self.store().read(&rollup_object).await)? else {
            return Ok(Rows::default());
        };
        let expected: HashMap<(Metric, Minute), Rollup> = read_rollups(&rollup_object, bytes)?
            .into_iter()
            .map(|(metric, rollup)| ((metric, rollup.hour), rollup))
            .collect();
        let path = Path::from(segment.path.as_str());
        let Some(bytes) = present(self.store().read_unchecked(&path).await)? else {
            return Ok(Rows::default());
        };
        let mut kept = Rows::default();
        for (metric, points) in readable_series(segment, &bytes) {
            for hour in points.chunk_by(|a, b| a.ts.hour() == b.ts.hour()) {
                let rollup = rollups(hour).next();
                let stated = hour
                    .first()
                    .and_then(|point| expected.get(&(metric.clone(), point.ts.hour())));
                if rollup.is_some() && rollup.as_ref() == stated {
                    kept.extend(&metric, hour);
                }
            }
        }
        Ok(kept)
    }
}

/// What can be decoded, row group by row group, in order; the rest is passed over.
fn readable_series(segment: &Model, bytes: &Bytes) -> Vec<(Metric, Vec<Point>)> {
    let mut series: Vec<(Metric, Vec<Point>)> = Vec::new();
    for group in 0..row_groups(bytes).unwrap_or(0) {
        let object = Object::samples(segment);
        let Ok(reader) = Reader::group(object, bytes.clone(), group) else {
            continue;
        };
        for rows in reader.map_while(Result::ok) {
            for (metric, points) in rows.series() {
                match series.last_mut() {
                    Some((last, known)) if last == metric => known.extend_from_slice(points),
                    Some((last, _)) if &*last > metric => (),
                    _ => series.push((metric.clone(), points.to_vec())),
                }
            }
        }
    }
    for (_, points) in &mut series {
        let mut last = None;
        points.retain(|point| last.replace(point.ts) < Some(point.ts));
    }
    series
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
