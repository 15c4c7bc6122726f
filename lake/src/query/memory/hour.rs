//! Block of one hour: the samples of every metric.

use std::sync::OnceLock;

use marketlake_model::{Exact, Minute};

use crate::segment::moments::Moments;
use crate::segment::rollup::Rollup;
use crate::span::Point;

/// Minutes of an hour.
const MINUTES: usize = 60;
/// The scale of a minute without a sample; no value has it.
const ABSENT: i8 = i8::MIN;

/// A block of memory: a row of 60 minutes a metric, by the metric's place.
#[derive(Clone)]
pub(super) struct Hour {
    first: Minute,
    unscaled: Vec<i64>,
    scale: Vec<i8>,
    moments: Vec<Moments>,
    /// made at the first query.
    rollups: OnceLock<Vec<Option<Rollup>>>,
}

impl Hour {
    pub(super) fn new(first: Minute) -> Self {
        Self {
            first,
            unscaled: Vec::new(),
            scale: Vec::new(),
            moments: Vec::new(),
            rollups: OnceLock::new(),
        }
    }

    /// Makes room for `metrics` metrics.
    pub(super) fn grow(&mut self, metrics: usize) {
        if metrics > self.moments.len() {
            self.unscaled.resize(metrics * MINUTES, 0);
            self.scale.resize(metrics * MINUTES, ABSENT);
            self.moments.resize(metrics, Moments::default());
        }
    }

    /// Sets samples of one metric, in the order of time; all must lie within the hour.
    pub(super) fn set(&mut self, place: usize, points: &[Point]) {
        self.rollups = OnceLock::new();
        let start = place * MINUTES;
        for point in points {
            let minute = self.minute(point.ts);
            let last = self.scale[start + minute..start + MINUTES]
                .iter()
                .all(|&scale| scale == ABSENT);
            self.unscaled[start + minute] = point.value.unscaled();
            self.scale[start + minute] = point.value.scale();
            self.moments[place] = if last {
                let mut moments = self.moments[place];
                moments.push(point.value.to_f64());
                moments
            } else {
                self.compute(place, 0, MINUTES)
            };
        }
    }

    /// The count, mean and spread of all its samples.
    pub(super) fn moments(&self, place: usize) -> Moments {
        self.moments.get(place).copied().unwrap_or_default()
    }

    /// Moments of the minutes from `from` on.
    pub(super) fn moments_from(&self, place: usize, from: Minute) -> Moments {
        if from <= self.first {
            return self.moments(place);
        }
        if self.moments(place).count == 0 {
            return Moments::default();
        }
        self.compute(place, self.minute(from), MINUTES)
    }

    fn compute(&self, place: usize, from: usize, to: usize) -> Moments {
        let minutes = place * MINUTES + from..place * MINUTES + to;
        minutes
            .filter_map(|at| self.at(at))
            .map(Exact::to_f64)
            .collect()
    }

    /// The sample of a minute.
    pub(super) fn value(&self, place: usize, ts: Minute) -> Option<Exact> {
        if place >= self.moments.len() {
            return None;
        }
        self.at(place * MINUTES + self.minute(ts))
    }

    /// Adds a metric's samples of the minutes from `from` to `to`, both within the hour.
    pub(super) fn read(&self, place: usize, from: Minute, to: Minute, points: &mut Vec<Point>) {
        if self.moments(place).count == 0 {
            return;
        }
        for minute in self.minute(from)..=self.minute(to) {
            if let Some(value) = self.at(place * MINUTES + minute) {
                let after = i64::try_from(minute).unwrap_or(0);
                let ts = self.first.plus(after);
                points.push(Point { ts, value });
            }
        }
    }

    /// Rollup of a metric's samples from `from` to `to`, both within the hour.
    pub(super) fn rollup(&self, place: usize, from: Minute, to: Minute) -> Option<Rollup> {
        if from > self.first || to < self.first.plus(59) {
            return self.compute_rollup(place, from, to);
        }
        let rollups = self.rollups.get_or_init(|| {
            let places = 0..self.moments.len();
            places
                .map(|place| self.compute_rollup(place, from, to))
                .collect()
        });
        rollups.get(place).copied().flatten()
    }

    fn compute_rollup(&self, place: usize, from: Minute, to: Minute) -> Option<Rollup> {
        let mut points = Vec::new();
        self.read(place, from, to, &mut points);
        Rollup::from_points(&points)
    }

    /// A metric's latest sample from `from` to `to`, both within the hour.
    pub(super) fn latest(&self, place: usize, from: Minute, to: Minute) -> Option<Point> {
        let minutes = (from.number()..=to.number()).rev();
        let mut points = minutes.map(Minute::from_number).filter_map(|ts| {
            let value = self.value(place, ts)?;
            Some(Point { ts, value })
        });
        points.next()
    }

    /// Returns whether a metric has a sample from `from` to `to`.
    pub(super) fn has_any(&self, place: usize, from: Minute, to: Minute) -> bool {
        let start = place * MINUTES;
        self.moments(place).count > 0
            && self.scale[start + self.minute(from)..=start + self.minute(to)]
                .iter()
                .any(|&scale| scale != ABSENT)
    }

    /// Copies the hour with other places: at each new place, the row of an old one.
    pub(super) fn reordered(&self, old_places: &[usize]) -> Self {
        let mut hour = Self::new(self.first);
        hour.grow(old_places.len());
        for (new, &old) in old_places.iter().enumerate() {
            if old < self.moments.len() {
                let (from, to) = (old * MINUTES, new * MINUTES);
                hour.unscaled[to..to + MINUTES]
                    .copy_from_slice(&self.unscaled[from..from + MINUTES]);
                hour.scale[to..to + MINUTES].copy_from_slice(&self.scale[from..from + MINUTES]);
                hour.moments[new] = self.moments[old];
            }
        }
        hour
    }

    fn at(&self, at: usize) -> Option<Exact> {
        let scale = self.scale[at];
        if scale == ABSENT {
            return None;
        }
        Exact::new(self.unscaled[at], scale)
    }

    fn minute(&self, ts: Minute) -> usize {
        let within = (ts.number() - self.first.number()).clamp(0, 59);
        usize::try_from(within).unwrap_or(0)
    }
}
