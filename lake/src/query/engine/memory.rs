//! Query engine on the last 24 hours in memory.

use std::sync::Arc;

use async_trait::async_trait;
use marketlake_model::{Jump, Metric, Minute};

use super::rule_input::{RuleInput, RuleInputQuery};
use super::{JumpQuery, QueryEngine, evaluate, lookback_span, sort_by_time};
use crate::error::LakeError;
use crate::query::memory::RecentDay;
use crate::query::memory::snapshot::Snapshot;
use crate::query::ranking::Ranking;
use crate::query::statistic::Statistic;
use crate::span::{Point, Span};

/// Window of the precomputed sums, in minutes.
const PRECOMPUTED_WINDOW: u32 = 60;

/// Complete only for spans that [`RecentDay::covers`]; of others it returns what it holds.
#[async_trait]
impl QueryEngine for RecentDay {
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError> {
        Ok(self.snapshot().metrics(span))
    }

    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError> {
        Ok(self.snapshot().series(metric, span))
    }

    async fn ranking(
        &self,
        measure: &str,
        statistic: Statistic,
        span: Span,
    ) -> Result<Arc<Ranking>, LakeError> {
        Ok(self.snapshot().ranking(measure, statistic, span))
    }

    async fn latest(
        &self,
        metrics: &[Metric],
        span: Span,
    ) -> Result<Vec<Option<Point>>, LakeError> {
        let snapshot = self.snapshot();
        let latest = metrics.iter().map(|metric| snapshot.latest(metric, span));
        Ok(latest.collect())
    }

    async fn jumps(&self, query: &JumpQuery) -> Result<Vec<Jump>, LakeError> {
        let snapshot = self.snapshot();
        let mut found = Vec::new();
        match &query.metric {
            Some(metric) => evaluate_metric(&snapshot, query, metric, &mut found),
            None if is_newest_hour(&snapshot, query) => {
                for metric in candidates(&snapshot, query) {
                    evaluate_metric(&snapshot, query, &metric, &mut found);
                }
            }
            None => snapshot.for_each(lookback_span(query), |metric, points| {
                evaluate(query, metric, points, &mut found);
            }),
        }
        sort_by_time(&mut found);
        Ok(found)
    }

    async fn rule_inputs(&self, query: &RuleInputQuery) -> Result<Vec<RuleInput>, LakeError> {
        let snapshot = self.snapshot();
        let mut inputs = Vec::new();
        match &query.metrics {
            Some(metrics) => {
                for metric in metrics {
                    let points = snapshot.series(metric, query.span());
                    inputs.push(RuleInput::from_points(metric, query.at, &points));
                }
            }
            None if query.window == PRECOMPUTED_WINDOW && snapshot.newest() == Some(query.at) => {
                snapshot.for_each_newest(|metric, value, before| {
                    if value.is_some() || before.count() > 0 {
                        inputs.push(RuleInput {
                            metric: metric.clone(),
                            value,
                            before: before.clone(),
                        });
                    }
                });
            }
            None => snapshot.for_each(query.span(), |metric, points| {
                inputs.push(RuleInput::from_points(metric, query.at, points));
            }),
        }
        inputs.sort_unstable_by(|a, b| a.metric.cmp(&b.metric));
        Ok(inputs)
    }
}

fn evaluate_metric(snapshot: &Snapshot, query: &JumpQuery, metric: &Metric, found: &mut Vec<Jump>) {
    evaluate(
        query,
        metric,
        &snapshot.series(metric, lookback_span(query)),
        found,
    );
}

/// Returns whether the precomputed sums answer it.
fn is_newest_hour(snapshot: &Snapshot, query: &JumpQuery) -> bool {
    query.rule.window == PRECOMPUTED_WINDOW
        && snapshot.newest() == Some(query.span.from)
        && query.span.from == query.span.to
}

/// The metrics that jumped at the newest minute.
fn candidates(snapshot: &Snapshot, query: &JumpQuery) -> Vec<Metric> {
    let mut found = Vec::new();
    snapshot.for_each_newest(|metric, value, before| {
        let ts: Minute = query.span.from;
        let jump = value.and_then(|value| query.rule.jump(metric, ts, value, before));
        if jump.is_some() {
            found.push(metric.clone());
        }
    });
    found
}
