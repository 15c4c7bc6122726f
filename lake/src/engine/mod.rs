//! One trait, several answers.

mod answer;
mod athena;
mod bucket;
mod embedded;
mod ranks;
mod router;
mod segment_file;
mod table;
mod trail;
mod whole_hours;
mod window;
mod witness;

use std::sync::Arc;

use async_trait::async_trait;
use marketlake_model::{Exact, Jump, JumpRule, Metric, Minute, PRICE, Trailing};

pub use athena::Athena;
pub use bucket::{Aggregate, Bucket, Interval, ParseAggregateError, ParseIntervalError};
pub use embedded::Embedded;
pub use router::{Route, Router};
pub use trail::{Trail, TrailQuery};
pub use witness::{seen_from_here, witnessed};

use crate::LakeError;
use crate::ranking::Ranking;
use crate::statistic::Statistic;
use crate::window::DAY;
use bucket::bucketed;

/// The minutes from `from` to `to`, both within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first minute.
    pub from: Minute,
    /// The last minute.
    pub to: Minute,
}

impl Span {
    /// All of time that a sample can have.
    pub const ALL: Self = Self {
        from: Minute::from_number(0),
        to: Minute::from_number(4_102_444_800),
    };

    /// The last 24 hours at a minute: (at - 24 h, at], 1,440 minutes.
    #[must_use]
    pub fn day_to(at: Minute) -> Self {
        Self {
            from: at.plus(1 - DAY),
            to: at,
        }
    }

    /// A minute and so many before it: what is read to judge it.
    #[must_use]
    pub fn back_from(at: Minute, window: u32) -> Self {
        Self {
            from: at.plus(-i64::from(window)),
            to: at,
        }
    }

    /// The 60 minutes of an hour, by its first.
    #[must_use]
    pub fn hour(first: Minute) -> Self {
        Self {
            from: first,
            to: first.plus(59),
        }
    }

    /// The 1,440 minutes of a calendar day, by its first.
    #[must_use]
    pub fn day(first: Minute) -> Self {
        Self {
            from: first,
            to: first.plus(DAY - 1),
        }
    }

    /// Itself, where it does not end before it begins; else what was expected of its begin.
    ///
    /// # Errors
    /// Where it ends before it begins.
    pub fn forwards(self) -> Result<Self, String> {
        if self.from > self.to {
            return Err(format!(
                "expected a time up to {}, got {}",
                self.to, self.from
            ));
        }
        Ok(self)
    }

    /// Whether a minute is within.
    #[must_use]
    pub fn holds(self, minute: Minute) -> bool {
        self.from <= minute && minute <= self.to
    }
}

/// One sample of a known metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The minute.
    pub ts: Minute,
    /// The value.
    pub value: Exact,
}

/// A metric's place among all of its measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The metric.
    pub metric: Metric,
    /// Its place, from 1; ties share one (1, 2, 2, 4).
    pub rank: u64,
    /// The statistic by which it is placed.
    pub value: f64,
}

/// One metric's place, and among how many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// `None` with fewer than two samples.
    pub standing: Option<Standing>,
    /// How many metrics of its measure are ranked.
    pub of: u64,
}

/// Which jumps are asked for.
#[derive(Clone, Debug)]
pub struct JumpQuery {
    /// When a sample is a jump.
    pub rule: JumpRule,
    /// The minutes whose samples are judged; what is before them is read as needed.
    pub span: Span,
    /// One metric only.
    pub metric: Option<Metric>,
}

/// Answers questions about committed samples.
///
/// Every engine gives the same answer to the same question, to the digit for values and counts, and to
/// a relative 1e-9 for statistics. An answer is of one state of the lake. Asking changes nothing.
/// Spans of any length are allowed; a span without samples has an empty answer.
#[async_trait]
pub trait QueryEngine: Send + Sync {
    /// The metrics that have a sample in the span, by id.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError>;

    /// A metric's samples in the span, by time.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError>;

    /// All metrics of a measure that have two samples or more in the span and the statistic, by place, then id.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    async fn ranking(
        &self,
        measure: &str,
        statistic: Statistic,
        span: Span,
    ) -> Result<Arc<Ranking>, LakeError>;

    /// One metric's place in [`Self::ranking`] of its measure.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    async fn standing(
        &self,
        metric: &Metric,
        statistic: Statistic,
        span: Span,
    ) -> Result<Place, LakeError> {
        let ranking = self.ranking(metric.measure(), statistic, span).await?;
        Ok(ranking.place(metric))
    }

    /// The samples that each of some metrics has in the span, by time; in the order of the metrics.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    async fn series(&self, metrics: &[Metric], span: Span) -> Result<Vec<Vec<Point>>, LakeError> {
        let mut series = Vec::with_capacity(metrics.len());
        for metric in metrics {
            series.push(self.timeseries(metric, span).await?);
        }
        Ok(series)
    }

    /// The latest sample that each of some metrics has in the span, in their order.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    async fn latest(&self, metrics: &[Metric], span: Span)
    -> Result<Vec<Option<Point>>, LakeError>;

    /// A metric's samples in the span, gathered into buckets of `interval` minutes that begin at whole intervals since
    /// 1970-01-01T00:00Z; by time, without the empty ones. The span's ends may cut the first and last bucket.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    async fn buckets(
        &self,
        metric: &Metric,
        span: Span,
        interval: Interval,
    ) -> Result<Vec<Bucket>, LakeError> {
        Ok(bucketed(&self.timeseries(metric, span).await?, interval))
    }

    /// The jumps in the span, by time, then id.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    async fn jumps(&self, query: &JumpQuery) -> Result<Vec<Jump>, LakeError>;

    /// What a rule judges at one minute, by id. A metric that was named and has nothing comes with nothing.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    async fn trails(&self, query: &TrailQuery) -> Result<Vec<Trail>, LakeError>;
}

/// Judges each sample of one metric that lies in the span; `points` reach back as far as the rule looks.
fn judge(query: &JumpQuery, metric: &Metric, points: &[Point], found: &mut Vec<Jump>) {
    let back = i64::from(query.rule.window);
    let values = |points: &[Point]| points.iter().map(|point| point.value).collect::<Trailing>();
    // The exact sum of points[first..index], moved on with them.
    let (mut before, mut first) = (Trailing::default(), 0);
    for (index, point) in points.iter().enumerate() {
        while points[first].ts < point.ts.plus(-back) {
            first += 1;
            if !before.pop(points[first - 1].value) {
                before = values(&points[first..index]);
            }
        }
        let (rule, value) = (&query.rule, point.value);
        if query.span.holds(point.ts) && rule.jump(metric, point.ts, value, &before).is_some() {
            // Summed up anew, so that the mean shown is the same float whoever finds the jump.
            let before = values(&points[first..index]);
            found.extend(rule.jump(metric, point.ts, value, &before));
        }
        before.push(value);
    }
}

/// The span that must be read to judge a query's.
fn reach(query: &JumpQuery) -> Span {
    Span {
        from: query.span.from.plus(-i64::from(query.rule.window)),
        to: query.span.to,
    }
}

fn by_time(jumps: &mut [Jump]) {
    jumps.sort_by(|a, b| a.ts.cmp(&b.ts).then_with(|| a.metric.cmp(&b.metric)));
}

/// An id is market:pair[:measure]; a price names no measure.
fn third_part(measure: &str) -> &str {
    if measure == PRICE { "" } else { measure }
}
