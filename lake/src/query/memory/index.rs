//! Index of metrics: the row that each has in a block.

use std::collections::HashMap;
use std::sync::Arc;

use marketlake_model::Metric;

/// Metrics and their places, which stay for as long as the index grows.
#[derive(Clone, Default)]
pub(super) struct Index {
    metrics: Vec<Metric>,
    places: HashMap<Metric, usize>,
    /// Places by the metrics' ids.
    sorted: Vec<usize>,
    /// A number for each metric's measure.
    measures: Vec<usize>,
    measure_names: Vec<Arc<str>>,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.metrics.len()
    }

    pub(super) fn place(&self, metric: &Metric) -> Option<usize> {
        self.places.get(metric).copied()
    }

    pub(super) fn metric(&self, place: usize) -> &Metric {
        &self.metrics[place]
    }

    /// Places in the order of ids.
    pub(super) fn sorted(&self) -> &[usize] {
        &self.sorted
    }

    /// The measures that there are; a metric's is found by [`Self::measure`].
    pub(super) fn measures(&self) -> &[Arc<str>] {
        &self.measure_names
    }

    pub(super) fn measure(&self, place: usize) -> usize {
        self.measures[place]
    }

    /// Adds metrics that are not in it.
    pub(super) fn extend(&mut self, new: impl Iterator<Item = Metric>) {
        for metric in new {
            let place = self.metrics.len();
            if self.places.insert(metric.clone(), place).is_none() {
                let measure = self.enter_measure(metric.measure());
                self.measures.push(measure);
                self.metrics.push(metric);
            }
        }
        self.sorted = (0..self.metrics.len()).collect();
        self.sorted
            .sort_unstable_by(|&a, &b| self.metrics[a].cmp(&self.metrics[b]));
    }

    fn enter_measure(&mut self, measure: &str) -> usize {
        let known = self
            .measure_names
            .iter()
            .position(|name| **name == *measure);
        known.unwrap_or_else(|| {
            self.measure_names.push(measure.into());
            self.measure_names.len() - 1
        })
    }
}
