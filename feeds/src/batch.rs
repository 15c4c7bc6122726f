//! One answer of a feed.

use std::collections::{BTreeMap, HashSet};

use marketlake_entities::{Exact, Metric, Minute, Rejected, Sample};

use crate::FeedError;

/// How many rejected entries are kept by name; the rest is counted.
const NAMED: usize = 20;

/// The samples of one slot, and an account of what was not kept.
#[derive(Debug, Default)]
pub struct Batch {
    /// What was kept: at most one sample a metric.
    pub samples: Vec<Sample>,
    /// How many entries were bad.
    pub rejected: u64,
    /// The first of them, each with its reason.
    pub first_rejected: Vec<Rejected>,
    /// Entries that are no market's price, counted by their kind (`index`).
    pub other_kinds: BTreeMap<String, u64>,
    seen: HashSet<Metric>,
}

impl Batch {
    /// Takes a value in, or counts why not: text that is no decimal, a negative, a metric seen before.
    pub fn offer(&mut self, entry: &str, metric: Metric, ts: Minute, value: &str) {
        match value.parse::<Exact>() {
            Err(error) => self.reject(entry, &error.to_string()),
            Ok(value) if value.is_negative() => {
                self.reject(
                    entry,
                    &format!("expected a price of zero or more, got {value}"),
                );
            }
            Ok(value) => self.keep(entry, Sample { metric, ts, value }),
        }
    }

    /// Takes a sample in whose value is known to be good, or counts it where its metric was seen before.
    pub fn keep(&mut self, entry: &str, sample: Sample) {
        if self.seen.insert(sample.metric.clone()) {
            self.samples.push(sample);
        } else {
            self.reject(entry, "the same metric came earlier in this answer");
        }
    }

    /// Counts an entry that is not kept.
    pub fn reject(&mut self, entry: &str, reason: &str) {
        self.rejected += 1;
        if self.first_rejected.len() < NAMED {
            self.first_rejected.push(Rejected {
                entry: entry.chars().take(100).collect(),
                reason: reason.to_owned(),
            });
        }
    }

    /// Takes another feed's batch in; a metric that is here already keeps its value.
    pub fn merge(&mut self, other: Self) {
        for sample in other.samples {
            let entry = sample.metric.clone();
            self.keep(entry.id(), sample);
        }
        self.rejected += other.rejected;
        let room = NAMED.saturating_sub(self.first_rejected.len());
        self.first_rejected
            .extend(other.first_rejected.into_iter().take(room));
        for (kind, count) in other.other_kinds {
            *self.other_kinds.entry(kind).or_default() += count;
        }
    }

    /// The batch, or an error where it holds nothing.
    pub(crate) fn or_empty(self, url: &str) -> Result<Self, FeedError> {
        if self.samples.is_empty() {
            return Err(FeedError::Empty {
                url: url.to_owned(),
                rejected: self.rejected,
                first: self
                    .first_rejected
                    .first()
                    .map(|r| format!("{}: {}", r.entry, r.reason)),
            });
        }
        Ok(self)
    }
}
