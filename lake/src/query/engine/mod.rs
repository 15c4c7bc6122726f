//! Query engines: the trait and its implementations (memory, DataFusion, Athena, and the selector).

pub(crate) mod athena;
pub(crate) mod datafusion;
mod memory;
pub(crate) mod rule_input;
pub(crate) mod selector;
pub(crate) mod usage;

use std::sync::Arc;

use async_trait::async_trait;
use marketlake_model::{Jump, JumpRule, Metric, PRICE, RollingSum};

use crate::error::LakeError;
use crate::query::bucket::{Bucket, Interval, bucketed};
use crate::query::ranking::{RankPosition, Ranking};
use crate::query::statistic::Statistic;
use crate::span::{Point, Span};
use rule_input::{RuleInput, RuleInputQuery};

/// Query of jumps.
#[derive(Clone, Debug)]
pub struct JumpQuery {
    /// Rule that decides whether a sample is a jump.
    pub rule: JumpRule,
    /// Minutes whose samples are evaluated; samples before them are read as needed.
    pub span: Span,
    /// One metric only.
    pub metric: Option<Metric>,
}

/// Engine that answers queries about committed samples.
///
/// Every engine gives the same answer to the same query, to the digit for values and counts, and to
/// a relative 1e-9 for statistics. An answer is of one state of the lake. Queries change nothing.
/// Spans of any length are allowed; a span without samples has an empty answer.
#[async_trait]
pub trait QueryEngine: Send + Sync {
    /// The metrics that have a sample in the span, by id.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError>;

    /// A metric's samples in the span, by time.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError>;

    /// All metrics of a measure that have two samples or more in the span and the statistic, by
    /// place, then id.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    async fn ranking(
        &self,
        measure: &str,
        statistic: Statistic,
        span: Span,
    ) -> Result<Arc<Ranking>, LakeError>;

    /// One metric's place in [`Self::ranking`] of its measure.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    async fn rank_position(
        &self,
        metric: &Metric,
        statistic: Statistic,
        span: Span,
    ) -> Result<RankPosition, LakeError> {
        let ranking = self.ranking(metric.measure(), statistic, span).await?;
        Ok(ranking.rank_position(metric))
    }

    /// The samples that each of some metrics has in the span, by time; in the order of the metrics.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
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
    /// Fails if the store or the catalog fails.
    async fn latest(&self, metrics: &[Metric], span: Span)
    -> Result<Vec<Option<Point>>, LakeError>;

    /// A metric's samples in the span, gathered into buckets of `interval` minutes that begin at
    /// whole intervals since 1970-01-01T00:00Z; by time, without the empty ones. The span's ends
    /// may cut the first and last bucket.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
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
    /// Fails if the store or the catalog fails.
    async fn jumps(&self, query: &JumpQuery) -> Result<Vec<Jump>, LakeError>;

    /// Inputs of a rule at one minute, by id. A named metric without samples has an empty input.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    async fn rule_inputs(&self, query: &RuleInputQuery) -> Result<Vec<RuleInput>, LakeError>;
}

/// Evaluates each sample of one metric in the span; `points` begin a window before it.
fn evaluate(query: &JumpQuery, metric: &Metric, points: &[Point], found: &mut Vec<Jump>) {
    let back = i64::from(query.rule.window);
    let values = |points: &[Point]| {
        points
            .iter()
            .map(|point| point.value)
            .collect::<RollingSum>()
    };
    // The exact sum of points[first..index], moved on with them.
    let (mut before, mut first) = (RollingSum::default(), 0);
    for (index, point) in points.iter().enumerate() {
        while points[first].ts < point.ts.plus(-back) {
            first += 1;
            if !before.pop(points[first - 1].value) {
                before = values(&points[first..index]);
            }
        }
        let (rule, value) = (&query.rule, point.value);
        if query.span.contains(point.ts) && rule.jump(metric, point.ts, value, &before).is_some() {
            // Summed up anew, so that every engine shows the same float as mean.
            let before = values(&points[first..index]);
            found.extend(rule.jump(metric, point.ts, value, &before));
        }
        before.push(value);
    }
}

/// Span that must be read to evaluate a query's.
fn lookback_span(query: &JumpQuery) -> Span {
    Span {
        from: query.span.from.plus(-i64::from(query.rule.window)),
        to: query.span.to,
    }
}

fn sort_by_time(jumps: &mut [Jump]) {
    jumps.sort_by(|a, b| a.ts.cmp(&b.ts).then_with(|| a.metric.cmp(&b.metric)));
}

/// An id is `market:pair[:measure]`; a price names no measure.
fn measure_suffix(measure: &str) -> &str {
    if measure == PRICE { "" } else { measure }
}
