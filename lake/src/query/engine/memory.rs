//! Answers from memory.

use std::sync::Arc;

use async_trait::async_trait;
use marketlake_model::{Jump, Metric, Minute};

use super::rule_input::{Trail, TrailQuery};
use super::{JumpQuery, QueryEngine, by_time, judge, reach};
use crate::error::LakeError;
use crate::query::memory::Window;
use crate::query::memory::snapshot::Snapshot;
use crate::query::ranking::Ranking;
use crate::query::statistic::Statistic;
use crate::span::{Point, Span};

/// The window of the sums that are kept ready, in minutes.
const KEPT_READY: u32 = 60;

/// Whole only for spans that [`Window::covers`]; of others it gives what it has.
#[async_trait]
impl QueryEngine for Window {
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
            Some(metric) => judge_one(&snapshot, query, metric, &mut found),
            None if is_newest_hour(&snapshot, query) => {
                for metric in candidates(&snapshot, query) {
                    judge_one(&snapshot, query, &metric, &mut found);
                }
            }
            None => snapshot.for_each(reach(query), |metric, points| {
                judge(query, metric, points, &mut found);
            }),
        }
        by_time(&mut found);
        Ok(found)
    }

    async fn trails(&self, query: &TrailQuery) -> Result<Vec<Trail>, LakeError> {
        let snapshot = self.snapshot();
        let mut trails = Vec::new();
        match &query.metrics {
            Some(metrics) => {
                for metric in metrics {
                    let points = snapshot.series(metric, query.reach());
                    trails.push(Trail::of(metric, query.at, &points));
                }
            }
            None if query.window == KEPT_READY && snapshot.newest() == Some(query.at) => {
                snapshot.for_each_newest(|metric, value, before| {
                    if value.is_some() || before.count() > 0 {
                        trails.push(Trail {
                            metric: metric.clone(),
                            value,
                            before: before.clone(),
                        });
                    }
                });
            }
            None => snapshot.for_each(query.reach(), |metric, points| {
                trails.push(Trail::of(metric, query.at, points));
            }),
        }
        trails.sort_unstable_by(|a, b| a.metric.cmp(&b.metric));
        Ok(trails)
    }
}

fn judge_one(snapshot: &Snapshot, query: &JumpQuery, metric: &Metric, found: &mut Vec<Jump>) {
    judge(query, metric, &snapshot.series(metric, reach(query)), found);
}

/// Whether the sums that are kept ready answer it.
fn is_newest_hour(snapshot: &Snapshot, query: &JumpQuery) -> bool {
    query.rule.window == KEPT_READY
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
