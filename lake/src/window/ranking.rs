//! Places by spread, kept ready.

use std::collections::HashMap;

use marketlake_entities::Metric;

use crate::Standing;

/// All ranked metrics of one measure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranking {
    standings: Vec<Standing>,
    /// Where in `standings` a metric is.
    positions: HashMap<Metric, usize>,
}

impl Ranking {
    pub(crate) fn new(spreads: Vec<(Metric, f64)>) -> Self {
        let standings = place(spreads);
        let named = standings.iter().enumerate();
        Self {
            positions: named.map(|(at, s)| (s.metric.clone(), at)).collect(),
            standings,
        }
    }

    pub(crate) fn standings(&self) -> &[Standing] {
        &self.standings
    }

    pub(crate) fn standing(&self, metric: &Metric) -> Option<&Standing> {
        self.positions.get(metric).map(|&at| &self.standings[at])
    }
}

/// Highest first; equal spreads share a place.
pub(crate) fn place(mut spreads: Vec<(Metric, f64)>) -> Vec<Standing> {
    spreads.sort_unstable_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
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
