//! Directory of metrics: resolves names to metrics, and names metrics.

use std::collections::{BTreeMap, BTreeSet};

use marketlake_model::Metric;

/// Every metric that was ever committed, and which of them owns its short name.
#[derive(Debug, Default)]
pub struct Directory {
    metrics: BTreeSet<Metric>,
    owners: BTreeMap<String, Metric>,
}

impl Directory {
    /// The directory of some metrics; a short name goes to the first market in `order` that has it,
    /// then to the first by the alphabet.
    #[must_use]
    pub fn new(metrics: BTreeSet<Metric>, order: &[String]) -> Self {
        let place = |metric: &Metric| {
            order
                .iter()
                .position(|m| m == metric.market())
                .unwrap_or(order.len())
        };
        let mut owners: BTreeMap<String, Metric> = BTreeMap::new();
        for metric in &metrics {
            owners
                .entry(metric.short_name().to_owned())
                .and_modify(|owner| {
                    if place(metric) < place(owner) {
                        *owner = metric.clone();
                    }
                })
                .or_insert_with(|| metric.clone());
        }
        Self { metrics, owners }
    }

    /// The metric that an id or a name stands for; letter case does not matter.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<Metric> {
        let name = name.to_lowercase();
        let by_id = name
            .parse::<Metric>()
            .ok()
            .filter(|metric| self.metrics.contains(metric));
        by_id.or_else(|| {
            let short = name.strip_suffix(":price").unwrap_or(&name);
            self.owners.get(short).cloned()
        })
    }

    /// A metric's name: its short name where it owns it, else its id.
    #[must_use]
    pub fn name<'a>(&self, metric: &'a Metric) -> &'a str {
        match self.owners.get(metric.short_name()) {
            Some(owner) if owner == metric => metric.short_name(),
            _ => metric.id(),
        }
    }

    /// Returns whether it contains a metric.
    #[must_use]
    pub fn contains(&self, metric: &Metric) -> bool {
        self.metrics.contains(metric)
    }

    /// Number of metrics.
    #[must_use]
    pub fn len(&self) -> usize {
        self.metrics.len()
    }

    /// Returns whether there is no metric.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
    }

    /// Every metric, by id.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.iter()
    }
}
