//! Batch: the samples of one slot from a feed, and counts of what was rejected.

use std::collections::{BTreeMap, HashSet};

use marketlake_model::{Exact, Metric, Minute, Rejected, Sample};

use crate::error::FeedError;

/// Rejected entries that are kept by name; the rest is counted.
const MAX_NAMED_REJECTIONS: usize = 20;
/// Characters that are kept of a rejected entry and its reason.
const MAX_ENTRY_CHARS: usize = 100;
const MAX_REASON_CHARS: usize = 300;
/// Kinds that are counted by name; what is of yet another is counted as `other`.
const MAX_KINDS: usize = 20;
/// Far more metrics than all exchanges together have; what one answer holds beyond is rejected.
pub const MAX_SAMPLES: usize = 500_000;

/// The samples of one slot, and the rejected entries.
#[derive(Debug, Default)]
pub struct Batch {
    /// Accepted samples: at most one a metric.
    pub samples: Vec<Sample>,
    /// Number of rejected entries.
    pub rejected: u64,
    /// The first of them, each with its reason.
    pub first_rejected: Vec<Rejected>,
    /// Entries that are no market's price, counted by their kind (`index`).
    pub other_kinds: BTreeMap<String, u64>,
    /// Number of pairs of a stream of which something of the minute may be missing. They have no
    /// sample.
    pub incomplete: u64,
    seen: HashSet<Metric>,
}

impl Batch {
    /// Takes a value in, or counts why not: text that is no decimal, a negative, a metric seen
    /// before.
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

    /// Takes a sample in whose value is known to be good, or counts it where its metric was seen
    /// before.
    pub fn keep(&mut self, entry: &str, sample: Sample) {
        if self.samples.len() >= MAX_SAMPLES {
            self.reject(
                entry,
                &format!("expected at most {MAX_SAMPLES} entries in one answer"),
            );
        } else if self.seen.insert(sample.metric.clone()) {
            self.samples.push(sample);
        } else {
            self.reject(entry, "the same metric came earlier in this answer");
        }
    }

    /// Counts an entry that is rejected.
    pub fn reject(&mut self, entry: &str, reason: &str) {
        self.rejected = self.rejected.saturating_add(1);
        if self.first_rejected.len() < MAX_NAMED_REJECTIONS {
            self.first_rejected.push(Rejected {
                entry: entry.chars().take(MAX_ENTRY_CHARS).collect(),
                reason: reason.chars().take(MAX_REASON_CHARS).collect(),
            });
        }
    }

    /// Counts an entry of another kind.
    pub(crate) fn count_other(&mut self, kind: &str) {
        self.count_others(kind, 1);
    }

    fn count_others(&mut self, kind: &str, count: u64) {
        let kind: String = kind.chars().take(MAX_ENTRY_CHARS).collect();
        let known = self.other_kinds.contains_key(&kind);
        let kind = if known || self.other_kinds.len() < MAX_KINDS {
            kind
        } else {
            "other".to_owned()
        };
        let sum = self.other_kinds.entry(kind).or_default();
        *sum = sum.saturating_add(count);
    }

    /// Takes out samples of another minute than the requested one, and counts them.
    pub fn retain_slot(&mut self, slot: Minute) {
        let (kept, others) = std::mem::take(&mut self.samples)
            .into_iter()
            .partition(|sample: &Sample| sample.ts == slot);
        self.samples = kept;
        for sample in others {
            let reason = format!(
                "ts: expected {slot}, the requested minute, got {}",
                sample.ts
            );
            self.reject(sample.metric.id(), &reason);
        }
    }

    /// Takes another feed's batch in; a metric that is here already keeps its value.
    pub fn merge(&mut self, other: Self) {
        for sample in other.samples {
            let entry = sample.metric.clone();
            self.keep(entry.id(), sample);
        }
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.incomplete = self.incomplete.saturating_add(other.incomplete);
        let room = MAX_NAMED_REJECTIONS.saturating_sub(self.first_rejected.len());
        self.first_rejected
            .extend(other.first_rejected.into_iter().take(room));
        for (kind, count) in other.other_kinds {
            self.count_others(&kind, count);
        }
    }

    /// The batch, or an error where it holds nothing.
    pub(crate) fn into_non_empty(self, url: &str) -> Result<Self, FeedError> {
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
