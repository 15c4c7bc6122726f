//! Ranking of metrics by a statistic.

use std::collections::HashMap;

use marketlake_model::Metric;

/// Metric with its rank among all of its measure.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedMetric {
    /// The metric.
    pub metric: Metric,
    /// Its rank, from 1; ties share one (1, 2, 2, 4).
    pub rank: u64,
    /// Value of the statistic.
    pub value: f64,
}

/// Rank of one metric, and the number of ranked metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankPosition {
    /// `None` with fewer than two samples.
    pub ranked: Option<RankedMetric>,
    /// Number of ranked metrics of its measure.
    pub of: u64,
}

/// All ranked metrics of one measure over a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    ranked: Vec<RankedMetric>,
    /// Index of a metric in `ranked`.
    positions: HashMap<Metric, usize>,
}

impl Ranking {
    pub(crate) fn new(values: Vec<(Metric, f64)>) -> Self {
        let ranked = place(values);
        let named = ranked.iter().enumerate();
        Self {
            positions: named.map(|(at, s)| (s.metric.clone(), at)).collect(),
            ranked,
        }
    }

    /// Ranked metrics, by rank, then id.
    #[must_use]
    pub fn ranked(&self) -> &[RankedMetric] {
        &self.ranked
    }

    /// Index of a metric in [`Self::ranked`].
    #[must_use]
    pub fn index_of(&self, metric: &Metric) -> Option<usize> {
        self.positions.get(metric).copied()
    }

    /// Rank of one metric.
    #[must_use]
    pub fn rank_position(&self, metric: &Metric) -> RankPosition {
        let at = self.index_of(metric);
        RankPosition {
            ranked: at.map(|at| self.ranked[at].clone()),
            of: self.ranked.len() as u64,
        }
    }
}

/// Ranks values, highest first; equal values share a rank.
fn place(mut values: Vec<(Metric, f64)>) -> Vec<RankedMetric> {
    values.sort_unstable_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
    let mut ranked: Vec<RankedMetric> = Vec::with_capacity(values.len());
    for (place, (metric, value)) in (1..).zip(values) {
        let rank = match ranked.last() {
            Some(last) if last.value.total_cmp(&value).is_eq() => last.rank,
            _ => place,
        };
        ranked.push(RankedMetric {
            metric,
            rank,
            value,
        });
    }
    ranked
}
