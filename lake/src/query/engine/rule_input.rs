//! What a rule judges at one minute.

use marketlake_model::{Exact, Metric, Minute, Trailing};

use crate::span::{Point, Span};

/// Which trails are asked for.
#[derive(Clone, Debug)]
pub struct TrailQuery {
    /// The minute that is judged.
    pub at: Minute,
    /// Length of the time before it, in minutes.
    pub window: u32,
    /// These metrics; every one that has a sample from `at - window` to `at` where there is no list.
    pub metrics: Option<Vec<Metric>>,
}

impl TrailQuery {
    /// The minutes that it reads.
    #[must_use]
    pub fn reach(&self) -> Span {
        Span::back_from(self.at, self.window)
    }
}

/// One metric's sample at a minute, and the sum of its samples in the time before.
#[derive(Clone, Debug)]
pub struct Trail {
    /// The series.
    pub metric: Metric,
    /// The sample at the minute, if there is one.
    pub value: Option<Exact>,
    /// Those before it.
    pub before: Trailing,
}

impl Trail {
    /// The trail of points that reach from the window's begin to the minute.
    #[must_use]
    pub fn of(metric: &Metric, at: Minute, points: &[Point]) -> Self {
        let end = points.partition_point(|point| point.ts < at);
        Self {
            metric: metric.clone(),
            value: points
                .get(end)
                .filter(|point| point.ts == at)
                .map(|p| p.value),
            before: points[..end].iter().map(|point| point.value).collect(),
        }
    }
}
