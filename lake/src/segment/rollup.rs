//! Rollup: the summary of one metric's hour, so that long spans need not be read sample by sample.

use marketlake_model::{Exact, Minute};

use crate::segment::moments::Moments;
use crate::span::Point;

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
    pub(crate) fn from_points(points: &[Point]) -> Option<Self> {
        let (first, rest) = points.split_first()?;
        let mut rollup = Self::from_point(*first);
        rest.iter().for_each(|point| rollup.push(*point));
        Some(rollup)
    }

    /// The rollup of one sample.
    pub(crate) fn from_point(point: Point) -> Self {
        Self {
            hour: point.ts.hour(),
            moments: [point.value.to_f64()].into_iter().collect(),
            min: point.value,
            max: point.value,
            first: point.value,
            last: point.value,
        }
    }

    /// Takes a later sample in.
    pub(crate) fn push(&mut self, point: Point) {
        self.min = self.min.min(point.value);
        self.max = self.max.max(point.value);
        self.last = point.value;
        self.moments.push(point.value.to_f64());
    }

    /// Takes in what comes behind it.
    pub(crate) fn merge(&mut self, later: &Self) {
        self.moments.merge(&later.moments);
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.last = later.last;
    }
}

/// The rollups of a metric's points, hour by hour.
pub(crate) fn rollups(points: &[Point]) -> impl Iterator<Item = Rollup> {
    points
        .chunk_by(|a, b| a.ts.hour() == b.ts.hour())
        .filter_map(Rollup::from_points)
}
