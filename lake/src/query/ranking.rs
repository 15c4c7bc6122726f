//! Places by a statistic.

use std::collections::HashMap;

use marketlake_model::Metric;

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

/// All ranked metrics of one measure over a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    standings: Vec<Standing>,
    /// Where in `standings` a metric is.
    positions: HashMap<Metric, usize>,
}

impl Ranking {
    pub(crate) fn new(values: Vec<(Metric, f64)>) -> Self {
        let standings = place(values);
        let named = standings.iter().enumerate();
        Self {
            positions: named.map(|(at, s)| (s.metric.clone(), at)).collect(),
            standings,
        }
    }

    /// By place, then id.
    #[must_use]
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// Where in [`Self::standings`] a metric is.
    #[must_use]
    pub fn position(&self, metric: &Metric) -> Option<usize> {
        self.positions.get(metric).copied()
    }

    /// One metric's place.
    #[must_use]
    pub fn place(&self, metric: &Metric) -> Place {
        let at = self.position(metric);
        Place {
            standing: at.map(|at| self.standings[at].clone()),
            of: self.standings.len() as u64,
        }
    }
}

/// Highest first; equal values share a place.
fn place(mut values: Vec<(Metric, f64)>) -> Vec<Standing> {
    values.sort_unstable_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
    let mut standings: Vec<Standing> = Vec::with_capacity(values.len());
    for (place, (metric, value)) in (1..).zip(values) {
        let rank = match standings.last() {
            Some(last) if last.value.total_cmp(&value).is_eq() => last.rank,
            _ => place,
        };
        standings.push(Standing {
            metric,
            rank,
            value,
        });
    }
    standings
}
