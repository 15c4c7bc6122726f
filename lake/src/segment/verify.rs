//! Verification of a file that may be damaged: finds the rows that a checksum confirms.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use marketlake_model::{Metric, Minute};

use crate::error::LakeError;
use crate::segment::codec::{BATCH_ROWS, Footer, HourChecksum, HourChecksums, Reader};
use crate::segment::rows::Rows;
use crate::segment::statement::RowChecksum;
use crate::span::Point;
use crate::storage::object::Object;

/// The verified rows of a file: those of row groups whose bytes have their checksums or whose rows
/// have the checksum that the file states, and those of hours that have the checksum that the
/// rollups state.
pub(crate) fn verified_rows(object: &Object, bytes: &Bytes, hours: Option<&HourChecksums>) -> Rows {
    // Decoders are not made for damage: some of it is a panic.
    let guarded = |read: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(read)).is_ok();
    let mut found = VerifiedRows::new(hours);
    let mut footer = None;
    if !guarded(&mut || footer = Footer::read(object, bytes).ok()) {
        return Rows::default();
    }
    let Some(footer) = footer else {
        return Rows::default();
    };
    let stated = footer.statement().ok().flatten();
    for group in 0..footer.group_rows().len() {
        let mut rows = Vec::new();
        let whole = guarded(&mut || rows = read_group(object, &footer, bytes, group));
        let mut sum = RowChecksum::default();
        for rows in rows.iter().flat_map(Rows::series) {
            sum.push(rows.0, rows.1);
        }
        let by_rows = stated
            .as_ref()
            .is_some_and(|stated| stated.groups.get(group) == Some(&sum.finish()));
        let mut by_bytes = false;
        let all = || object.are_written(bytes, footer.bytes_of_group(group, bytes));
        let whole = whole && guarded(&mut || by_bytes = all());
        found.take(&rows, whole && (by_rows || by_bytes));
    }
    found.finish()
}

/// Rows of a row group that can be decoded.
fn read_group(object: &Object, footer: &Footer, bytes: &Bytes, group: usize) -> Vec<Rows> {
    let reader = Reader::part(
        object.clone(),
        footer,
        bytes.clone(),
        Some(group),
        BATCH_ROWS,
    );
    let batches = reader.into_iter().flatten();
    batches.map_while(Result::ok).collect()
}

/// Rows that were read, in the order of the file.
struct VerifiedRows<'a> {
    hours: Option<&'a HourChecksums>,
    /// The hour that is being read.
    open: Option<(Metric, Vec<Point>)>,
    /// Whether each of its rows is of a verified row group.
    sure: Vec<bool>,
    written: HashMap<Metric, Vec<Point>>,
}

impl<'a> VerifiedRows<'a> {
    fn new(hours: Option<&'a HourChecksums>) -> Self {
        Self {
            hours,
            open: None,
            written: HashMap::new(),
            sure: Vec::new(),
        }
    }

    fn take(&mut self, group: &[Rows], is_sure: bool) {
        for (metric, points) in group.iter().flat_map(Rows::series) {
            for &point in points {
                let continues = self.open.as_ref().is_some_and(|(known, points)| {
                    let last = points.last().map(|last| last.ts);
                    known == metric
                        && last.map(Minute::hour) == Some(point.ts.hour())
                        && last < Some(point.ts)
                });
                if !continues {
                    self.close();
                    self.open = Some((metric.clone(), Vec::new()));
                }
                if let Some((_, points)) = &mut self.open {
                    points.push(point);
                    self.sure.push(is_sure);
                }
            }
        }
    }

    /// Ends an hour: all of it is taken where it has its checksum, else what is of a verified row
    /// group.
    fn close(&mut self) {
        let sure = std::mem::take(&mut self.sure);
        let Some((metric, mut points)) = self.open.take() else {
            return;
        };
        let hour = points.first().map(|first| first.ts.hour());
        let stated = hour.and_then(|hour| self.hours?.get(&(metric.clone(), hour)));
        if stated.is_none_or(|stated| *stated != HourChecksum::from_points(&metric, &points)) {
            let mut sure = sure.into_iter();
            points.retain(|_| sure.next() == Some(true));
        }
        self.written.entry(metric).or_default().extend(points);
    }

    fn finish(mut self) -> Rows {
        self.close();
        let mut series: Vec<(Metric, Vec<Point>)> = self.written.into_iter().collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        let mut rows = Rows::default();
        for (metric, mut points) in series {
            points.sort_by_key(|point| point.ts);
            points.dedup_by_key(|point| point.ts);
            if !points.is_empty() {
                rows.extend(&metric, &points);
            }
        }
        rows
    }
}

impl HourChecksum {
    /// Sum of an hour's rows.
    pub(crate) fn from_points(metric: &Metric, points: &[Point]) -> Self {
        Self {
            count: u32::try_from(points.len()).unwrap_or(u32::MAX),
            crc: RowChecksum::of_rows(metric, points),
        }
    }
}

/// Reads rollups' checksums of a file that may be damaged.
pub(crate) fn hour_checksums(object: &Object, bytes: Bytes) -> Option<HourChecksums> {
    let read = || crate::segment::codec::read_hour_checksums(object, bytes);
    let read: Result<Option<HourChecksums>, LakeError> =
        catch_unwind(AssertUnwindSafe(read)).ok()?;
    read.ok().flatten()
}
