//! Answers from memory.

use async_trait::async_trait;
use marketlake_entities::{Jump, Metric};

use super::{JumpQuery, Point, QueryEngine, Span, Standing, by_time, judge, reach};
use crate::{LakeError, Window};

/// Whole only for spans that [`Window::covers`]; of others it gives what it has.
#[async_trait]
impl QueryEngine for Window {
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError> {
        let mut metrics = self.present(span);
        metrics.sort_unstable();
        Ok(metrics)
    }

    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError> {
        Ok(self.series(metric, span))
    }

    async fn ranking(&self, measure: &str, span: Span) -> Result<Vec<Standing>, LakeError> {
        let mut spreads = Vec::new();
        self.for_each(span, |metric, points| {
            if metric.measure() == measure {
                spreads.extend(stddev(points).map(|stddev| (metric.clone(), stddev)));
            }
        });
        Ok(place(spreads))
    }

    async fn jumps(&self, query: &JumpQuery) -> Result<Vec<Jump>, LakeError> {
        let mut found = Vec::new();
        match &query.metric {
            Some(metric) => judge(
                query,
                metric,
                &self.series(metric, reach(query)),
                &mut found,
            ),
            None => self.for_each(reach(query), |metric, points| {
                judge(query, metric, points, &mut found);
            }),
        }
        by_time(&mut found);
        Ok(found)
    }
}

/// Sample standard deviation by Welford's method (1962), which keeps its digits on large means with small moves.
fn stddev(points: &[Point]) -> Option<f64> {
    let (mut count, mut mean, mut m2) = (0.0, 0.0, 0.0);
    for point in points {
        let value = point.value.to_f64();
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        m2 += delta * (value - mean);
    }
    (count >= 2.0).then(|| (m2 / (count - 1.0)).sqrt())
}

/// Highest first; equal spreads share a place.
fn place(mut spreads: Vec<(Metric, f64)>) -> Vec<Standing> {
    spreads.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
    let mut standings: Vec<Standing> = Vec::with_capacity(spreads.len());
    for (place, (metric, stddev)) in (1..).zip(spreads) {
        let rank = match standings.last() {
            Some(last) if last.stddev.total_cmp(&stddev).is_eq() => last.rank,
            _ => place,
        };
        standings.push(Standing {
            metric,
            rank,
            stddev,
        });
    }
    standings
}
