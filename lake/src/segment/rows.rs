//! Rows: samples of several metrics, sorted as files hold them.

use marketlake_model::{Metric, Minute, Sample};

use crate::span::Point;

/// Samples sorted by (metric, ts): a run a metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// Each metric, and where its points end.
    runs: Vec<(Metric, usize)>,
    points: Vec<Point>,
}

impl Rows {
    /// Sorts samples; of several values of one (metric, ts) the last one given stays.
    pub(crate) fn sorted(mut samples: Vec<Sample>) -> Self {
        samples.sort_by(|a, b| a.metric.cmp(&b.metric).then(a.ts.cmp(&b.ts)));
        let mut rows = Self {
            runs: Vec::new(),
            points: Vec::with_capacity(samples.len()),
        };
        for Sample { metric, ts, value } in samples {
            match (rows.runs.last(), rows.points.last_mut()) {
                (Some((last, _)), Some(point)) if *last == metric && point.ts == ts => {
                    point.value = value;
                }
                _ => rows.push(&metric, Point { ts, value }),
            }
        }
        rows
    }

    /// Adds a point, which must come behind all others.
    pub(crate) fn push(&mut self, metric: &Metric, point: Point) {
        self.extend(metric, &[point]);
    }

    /// Adds some points of one metric, which must come behind all others.
    pub(crate) fn extend(&mut self, metric: &Metric, points: &[Point]) {
        self.points.extend_from_slice(points);
        let end = self.points.len();
        match self.runs.last_mut() {
            Some((last, last_end)) if last == metric => *last_end = end,
            _ => self.runs.push((metric.clone(), end)),
        }
    }

    /// Those up to a minute, and the first minute of the others.
    pub(crate) fn up_to(self, last: Minute) -> (Self, Option<Minute>) {
        let behind = self.points.iter().map(|point| point.ts);
        let Some(first) = behind.filter(|ts| *ts > last).min() else {
            return (self, None);
        };
        let mut kept = Self::default();
        for (metric, points) in self.series() {
            let held: Vec<Point> = points.iter().copied().filter(|p| p.ts <= last).collect();
            if !held.is_empty() {
                kept.extend(metric, &held);
            }
        }
        (kept, Some(first))
    }

    /// Number of points.
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// The run of a number, in order.
    pub(crate) fn run(&self, index: usize) -> Option<(&Metric, &[Point])> {
        let (metric, end) = self.runs.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.runs[before].1,
            None => 0,
        };
        Some((metric, &self.points[start..*end]))
    }

    /// Each metric with its points.
    pub(crate) fn series(&self) -> impl Iterator<Item = (&Metric, &[Point])> {
        (0..self.runs.len()).filter_map(|index| self.run(index))
    }
}
