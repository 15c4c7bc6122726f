//! Directory of metrics: resolves names to metrics, and names metrics.

use std::collections::BTreeMap;

use marketlake_model::{Metric, Millis, canonical_name};

/// Metric with the times that decide the owner of its short name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The metric.
    pub metric: Metric,
    /// Time of its first commit.
    pub created_at: Millis,
    /// Time of the first commit by a feed; `None` where only imports brought it.
    pub recorded_at: Option<Millis>,
}

/// Every metric that was ever committed, and which of them owns its short name.
#[derive(Debug, Default)]
pub struct Directory {
    metrics: BTreeMap<Metric, Claim>,
    owners: BTreeMap<String, Metric>,
    /// Metrics of each short name that several have, by id.
    shared: BTreeMap<String, Vec<Metric>>,
    counts: DirectoryCounts,
}

/// Number of entries of a directory, by which a reader sees that the catalog has changed: entries
/// are never removed, and the time of the first recording is set once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DirectoryCounts {
    /// All metrics.
    pub(crate) known: u64,
    /// Metrics that a feed recorded.
    pub(crate) recorded: u64,
}

/// A metric's claim to its short name; the least claim owns it, and among equals the least id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// A feed recorded it: the order of the markets decides, then the first recording.
    Recorded { place: usize, at: Millis },
    /// Only imports brought it: the first one decides.
    Imported { at: Millis },
}

impl Directory {
    /// The directory of some metrics. A short name belongs to the first market in `order` whose
    /// feed ever recorded it, then to the market whose feed recorded it first, then to the first
    /// import of it, then to the least id.
    #[must_use]
    pub fn new(entries: Vec<DirectoryEntry>, order: &[String]) -> Self {
        let recorded = entries.iter().filter(|entry| entry.recorded_at.is_some());
        let counts = DirectoryCounts {
            known: entries.len() as u64,
            recorded: recorded.count() as u64,
        };
        let mut metrics: BTreeMap<Metric, Claim> = BTreeMap::new();
        for entry in entries {
            let claim = Claim::new(&entry, order);
            metrics
                .entry(entry.metric)
                .and_modify(|known| *known = claim.min(*known))
                .or_insert(claim);
        }
        let mut claims: BTreeMap<&str, Vec<(Claim, &Metric)>> = BTreeMap::new();
        for (metric, claim) in &metrics {
            let of_name = claims.entry(metric.short_name()).or_default();
            of_name.push((*claim, metric));
        }
        let (mut owners, mut shared) = (BTreeMap::new(), BTreeMap::new());
        for (name, of_name) in claims {
            if let Some((_, owner)) = of_name.iter().min() {
                owners.insert(name.to_owned(), (*owner).clone());
            }
            if of_name.len() > 1 {
                let all: Vec<Metric> = of_name.into_iter().map(|(_, m)| m.clone()).collect();
                shared.insert(name.to_owned(), all);
            }
        }
        Self {
            metrics,
            owners,
            shared,
            counts,
        }
    }

    /// The metric that an id or a name stands for; letter case and the composition of accents do
    /// not matter.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<Metric> {
        let name = canonical_name(name);
        let by_id = name
            .parse::<Metric>()
            .ok()
            .filter(|metric| self.contains(metric));
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

    /// Other metrics with the same short name, by id: those that its short name might also mean.
    #[must_use]
    pub fn alternatives(&self, metric: &Metric) -> Vec<Metric> {
        let all = self.shared.get(metric.short_name());
        let others = all.into_iter().flatten().filter(|other| *other != metric);
        others.cloned().collect()
    }

    /// Returns whether it contains a metric.
    #[must_use]
    pub fn contains(&self, metric: &Metric) -> bool {
        self.metrics.contains_key(metric)
    }

    /// Returns whether a feed ever recorded a metric.
    #[must_use]
    pub fn is_recorded(&self, metric: &Metric) -> bool {
        matches!(self.metrics.get(metric), Some(Claim::Recorded { .. }))
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
        self.metrics.keys()
    }

    /// Counts of the entries that it was made from.
    pub(crate) fn counts(&self) -> DirectoryCounts {
        self.counts
    }
}

impl Claim {
    fn new(entry: &DirectoryEntry, order: &[String]) -> Self {
        let Some(at) = entry.recorded_at else {
            return Self::Imported {
                at: entry.created_at,
            };
        };
        let place = order
            .iter()
            .position(|market| market == entry.metric.market());
        Self::Recorded {
            place: place.unwrap_or(order.len()),
            at,
        }
    }
}
