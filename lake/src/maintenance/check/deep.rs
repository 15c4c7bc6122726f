//! Deep check of every row: hashes, order, one row a metric and minute, rollups equal to their
//! rows.

use bytes::Bytes;
use marketlake_entities::records::segments::Model;
use marketlake_model::Metric;

use super::{CheckReport, Fault};
use crate::error::LakeError;
use crate::maintenance::Maintenance;
use crate::segment::codec::{
    HourChecksum, HourChecksums, Reader, RollupRow, read_hour_checksums, read_rollups,
};
use crate::segment::merge::{Merge, Source};
use crate::segment::rollup::rollups;
use crate::span::Point;
use crate::storage::checksum::sha256;
use crate::storage::object::Object;

impl Maintenance<'_> {
    /// Fault of a segment's rows.
    pub(super) async fn deep_fault(
        self,
        segment: &Model,
        report: &mut CheckReport,
    ) -> Result<Option<Fault>, LakeError> {
        let samples = Object::samples(segment);
        // The footer's count is replaced by what is read.
        report.rows -= segment.row_count;
        let Some(bytes) = readable(self.lake.store().read(&samples).await)? else {
            return Ok(Some(Fault::Samples(
                "the bytes are not those that were written".to_owned(),
            )));
        };
        if sha256(&bytes) != segment.sha256 {
            return Ok(Some(Fault::Samples(
                "another SHA-256 than the catalog's".to_owned(),
            )));
        }
        let mut expected = SampleSummary::default();
        let rows = match walk(segment, samples, bytes, &mut expected) {
            Ok(rows) => rows,
            Err(reason) => return Ok(Some(Fault::Samples(reason))),
        };
        report.rows += rows;
        if rows != segment.row_count {
            let reason = format!("{rows} rows, the catalog says {}", segment.row_count);
            return Ok(Some(Fault::Samples(reason)));
        }
        self.rollup_fault(segment, &expected).await
    }

    async fn rollup_fault(
        self,
        segment: &Model,
        expected: &SampleSummary,
    ) -> Result<Option<Fault>, LakeError> {
        let Some(object) = Object::rollups(segment) else {
            return Ok(None);
        };
        let wrong = |reason: &str| Ok(Some(Fault::Rollups(reason.to_owned())));
        let Some(bytes) = readable(self.lake.store().read(&object).await)? else {
            return wrong("the bytes are not those that were written");
        };
        if Some(sha256(&bytes)) != segment.rollup_sha256 {
            return wrong("another SHA-256 than the catalog's");
        }
        match read_hour_checksums(&object, bytes.clone()) {
            Ok(Some(hours)) if hours != expected.hours => {
                return wrong("other checksums than those of the samples");
            }
            Ok(_) => (),
            Err(error) => return wrong(&error.to_string()),
        }
        match read_rollups(&object, bytes) {
            Ok(found) if found == expected.rollups => Ok(None),
            Ok(_) => wrong("not the sum of the samples"),
            Err(error) => wrong(&error.to_string()),
        }
    }

    /// Segments side by side in time must hold different metrics.
    pub(super) async fn find_doubles(
        self,
        segments: &[Model],
        report: &mut CheckReport,
    ) -> Result<(), LakeError> {
        for group in overlapping(segments) {
            let mut sources: Vec<Source> = Vec::new();
            let mut expected = 0;
            for segment in &group {
                let object = Object::samples(segment);
                let bytes = self.lake.store().read(&object).await?;
                sources.push(Box::new(Reader::new(object, bytes)?));
                expected += segment.row_count;
            }
            let mut merge = Merge::new(sources, Vec::new())?;
            let (mut points, mut rows) = (Vec::new(), 0);
            while merge.next(&mut points)?.is_some() {
                rows += i64::try_from(points.len()).unwrap_or(i64::MAX);
            }
            if rows < expected {
                let paths: Vec<&str> = group.iter().map(|s| s.path.as_str()).collect();
                let twice = expected - rows;
                report
                    .problems
                    .push(format!("{twice} rows are repeated in {}", paths.join(", ")));
            }
        }
        Ok(())
    }
}

/// `None` for an object that is not what was written.
fn readable(read: Result<Bytes, LakeError>) -> Result<Option<Bytes>, LakeError> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(LakeError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Summary of samples: rollups and hour checksums.
#[derive(Default)]
struct SampleSummary {
    rollups: Vec<RollupRow>,
    hours: HourChecksums,
}

/// Reads all rows; counts them, sums them up, and says what is out of order.
fn walk(
    segment: &Model,
    samples: Object,
    bytes: Bytes,
    summed: &mut SampleSummary,
) -> Result<i64, String> {
    let reader = Reader::new(samples, bytes).map_err(|error| error.to_string())?;
    let mut rows = 0;
    let mut last: Option<(Metric, Vec<Point>)> = None;
    for batch in reader {
        let batch = batch.map_err(|error| error.to_string())?;
        for (metric, points) in batch.series() {
            rows += i64::try_from(points.len()).unwrap_or(i64::MAX);
            match &mut last {
                Some((known, before)) if known == metric => before.extend_from_slice(points),
                _ => {
                    if last.as_ref().is_some_and(|(known, _)| known > metric) {
                        return Err(format!("{metric} follows a later metric"));
                    }
                    close(segment, last.take(), summed)?;
                    last = Some((metric.clone(), points.to_vec()));
                }
            }
        }
    }
    close(segment, last, summed)?;
    Ok(rows)
}

fn close(
    segment: &Model,
    series: Option<(Metric, Vec<Point>)>,
    summed: &mut SampleSummary,
) -> Result<(), String> {
    let Some((metric, points)) = series else {
        return Ok(());
    };
    if let Some(pair) = points.windows(2).find(|pair| pair[0].ts >= pair[1].ts) {
        return Err(format!(
            "{metric} at {} is repeated or out of order",
            pair[1].ts
        ));
    }
    let (first, last) = (segment.min_ts.minute(), segment.max_ts.minute());
    if points
        .iter()
        .any(|point| point.ts < first || point.ts > last)
    {
        return Err(format!("{metric} has samples outside of {first} to {last}"));
    }
    for hour in points.chunk_by(|a, b| a.ts.hour() == b.ts.hour()) {
        let at = (metric.clone(), hour[0].ts.hour());
        summed
            .hours
            .insert(at, HourChecksum::from_points(&metric, hour));
    }
    let rollups = rollups(&points).map(|rollup| (metric.clone(), rollup));
    summed.rollups.extend(rollups);
    Ok(())
}

/// Groups of two and more segments that overlap in time; they come in the order of their first
/// minute.
fn overlapping(segments: &[Model]) -> Vec<Vec<&Model>> {
    let mut groups: Vec<Vec<&Model>> = Vec::new();
    let mut end = None;
    for segment in segments {
        match groups.last_mut() {
            Some(group) if end >= Some(segment.min_ts) => group.push(segment),
            _ => groups.push(vec![segment]),
        }
        end = end.max(Some(segment.max_ts));
    }
    groups.retain(|group| group.len() > 1);
    groups
}
