//! Check of sample times: removes samples in the future, or before the first market.

use marketlake_entities::database;
use marketlake_entities::records::segments::{Model, Origin};
use marketlake_model::{Metric, Millis, Minute};

use super::{CheckOptions, CheckReport};
use crate::catalog::segments;
use crate::error::LakeError;
use crate::maintenance::Maintenance;
use crate::segment::codec::Reader;
use crate::segment::encode::Segment;
use crate::segment::merge::{Merge, in_memory};
use crate::segment::rows::Rows;
use crate::span::{EARLIEST_MINUTE, Point, latest_minute};
use crate::storage::object::Object;

/// A segment's rows, split into possible and impossible ones.
#[derive(Default)]
struct SplitRows {
    possible: Rows,
    odd: i64,
    example: Option<(Metric, Minute)>,
}

impl SplitRows {
    fn take(&mut self, rows: &Rows, last: Minute) {
        for (metric, points) in rows.series() {
            let is_possible = |point: &Point| point.ts >= EARLIEST_MINUTE && point.ts <= last;
            let kept: Vec<Point> = points.iter().copied().filter(is_possible).collect();
            if let Some(odd) = points.iter().find(|point| !is_possible(point)) {
                self.example.get_or_insert_with(|| (metric.clone(), odd.ts));
                self.odd += i64::try_from(points.len() - kept.len()).unwrap_or(i64::MAX);
            }
            if !kept.is_empty() {
                self.possible.extend(metric, &kept);
            }
        }
    }
}

/// Whether a segment's bounds say that it has samples of the future at a time, or of before there
/// were markets.
pub(super) fn is_out_of_range(segment: &Model, now: Millis) -> bool {
    segment.max_ts > latest_minute(now).start() || segment.min_ts < EARLIEST_MINUTE.start()
}

impl Maintenance<'_> {
    /// Finds samples of impossible minutes; only segments are read whose bounds say
    /// that they hold such.
    pub(super) async fn check_times(
        self,
        options: CheckOptions,
        report: &mut CheckReport,
    ) -> Result<(), LakeError> {
        let now = database::clock(self.lake.database()).await?;
        let last = latest_minute(now);
        for segment in segments::out_of_range(self.lake.database(), now).await? {
            let split = match self.part(&segment, last).await {
                Ok(split) => split,
                // That is a problem of its own, and reported as such.
                Err(LakeError::Corrupt { .. } | LakeError::Store(_)) => continue,
                Err(error) => return Err(error),
            };
            let (odd, path) = (split.odd, &segment.path);
            let example = split.example.as_ref().map_or_else(
                || "by the catalog".to_owned(),
                |(metric, ts)| format!("{metric} at {ts}"),
            );
            report.problems.push(format!(
                "{path}: {odd} rows of impossible minutes, like {example}: expected \
                 {EARLIEST_MINUTE} to {last}; `marketlake check --repair` removes them"
            ));
            if options.repair {
                let kept = self.take_out(&segment, split.possible).await?;
                report.repairs.push(format!(
                    "{path}: {odd} rows of impossible minutes removed, {kept} kept; the old \
                     object is set aside"
                ));
            }
        }
        Ok(())
    }

    async fn part(self, segment: &Model, last: Minute) -> Result<SplitRows, LakeError> {
        let object = Object::samples(segment);
        let bytes = self.lake.store().read(&object).await?;
        let mut split = SplitRows::default();
        for rows in Reader::new(object, bytes)? {
            split.take(&rows?, last);
        }
        Ok(split)
    }

    /// Writes what is kept of a segment in its place, in one transaction.
    async fn take_out(self, segment: &Model, possible: Rows) -> Result<i64, LakeError> {
        let mut merge = Merge::new(vec![in_memory(possible.into())], Vec::new())?;
        let mut kept = Segment::encode(segment.tier, Origin::Compact, None, &mut merge)?;
        if let Some(kept) = &mut kept {
            kept.write(self.lake).await?;
        }
        self.set_aside(segment, kept.as_ref()).await?;
        Ok(kept.map_or(0, |kept| kept.row_count))
    }
}
