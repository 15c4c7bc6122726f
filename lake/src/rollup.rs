//! What is kept of an hour of one metric, so that long spans need not be read sample by sample.

use marketlake_entities::{Exact, Minute};

use crate::Point;
use crate::moments::Moments;

/// One metric's hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rollup {
    /// The hour's first minute.
    pub(crate) hour: Minute,
    pub(crate) moments: Moments,
    pub(crate) min: Exact,
    pub(crate) max: Exact,
    /// The value of its earliest sample.
    pub(crate) first: Exact,
    /// The value of its latest sample.
    pub(crate) last: Exact,
}

impl Rollup {
    /// The rollup of one hour's points, in the order of time; `None` without any.
    pub(crate) fn of(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let (mut min, mut max) = (first.value, first.value);
        let mut moments = Moments::default();
        for point in points {
            min = min.min(point.value);
            max = max.max(point.value);
            moments.push(point.value.to_f64());
        }
        Some(Self {
            hour: first.ts.hour(),
            moments,
            min,
            max,
            first: first.value,
            last: last.value,
        })
    }
}

/// The rollups of a metric's points, hour by hour.
pub(crate) fn rollups(points: &[Point]) -> impl Iterator<Item = Rollup> {
    points
        .chunk_by(|a, b| a.ts.hour() == b.ts.hour())
        .filter_map(Rollup::of)
}
