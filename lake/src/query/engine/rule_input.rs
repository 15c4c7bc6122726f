//! Input of a rule's evaluation at one minute.

use marketlake_model::{Exact, Metric, Minute, RollingSum};

use crate::span::{Point, Span};

/// Query of the inputs of a rule.
#[derive(Clone, Debug)]
pub struct RuleInputQuery {
    /// Minute that is evaluated.
    pub at: Minute,
    /// Length of the window before it, in minutes.
    pub window: u32,
    /// These metrics; every one that has a sample from `at - window` to `at` where there is no
    /// list.
    pub metrics: Option<Vec<Metric>>,
}

impl RuleInputQuery {
    /// Span that it reads.
    #[must_use]
    pub fn span(&self) -> Span {
        Span::lookback(self.at, self.window)
    }
}

/// One metric's sample at a minute, and the sum of its samples in the time before.
#[derive(Clone, Debug)]
pub struct RuleInput {
    /// The series.
    pub metric: Metric,
    /// The sample at the minute, if there is one.
    pub value: Option<Exact>,
    /// Those before it.
    pub before: RollingSum,
}

impl RuleInput {
    /// Input from points between the window's start and the minute.
    #[must_use]
    pub fn from_points(metric: &Metric, at: Minute, points: &[Point]) -> Self {
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
