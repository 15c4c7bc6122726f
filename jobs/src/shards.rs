//! Shards of the ingest of a minute, so that several processes share it.

use std::num::NonZeroU16;
use std::sync::Arc;

use marketlake_feeds::{Feed, HistoryFeed};
use marketlake_model::Metric;

/// A feed, in how many shards its metrics are ingested, and the history that fills its gaps.
#[derive(Clone)]
pub struct Source {
    /// The feed.
    pub feed: Arc<dyn Feed>,
    /// `None`: together with the other feeds that are not split, in one part.
    pub shards: Option<NonZeroU16>,
    /// Markets of its metrics. Gaps of the feed are theirs.
    pub markets: Vec<String>,
    /// History of its market, from which its gaps are filled.
    pub history: Option<Arc<HistoryFeed>>,
    /// Whether each minute is corrected from the history: a poll has prices only.
    pub is_corrected: bool,
}

impl Source {
    /// A feed of the market of its name, that is not split and has no history.
    #[must_use]
    pub fn whole(feed: Arc<dyn Feed>) -> Self {
        Self {
            markets: vec![feed.name().to_owned()],
            feed,
            shards: None,
            history: None,
            is_corrected: false,
        }
    }
}

/// One shard of a minute: the work of one slot.
#[derive(Clone)]
pub(crate) struct Shard {
    /// Fetched in this order; earlier ones win a metric.
    pub(crate) sources: Vec<Source>,
    /// Number and count of its share, by the hashes of metrics.
    share: (u32, u32),
}

/// All shards, by their numbers: first the one of the feeds that are not split, where there are
/// any, then each other feed's.
pub(crate) fn shards(sources: &[Source]) -> Vec<Shard> {
    let whole: Vec<Source> = sources
        .iter()
        .filter(|source| source.shards.is_none())
        .cloned()
        .collect();
    let mut shards = Vec::new();
    if !whole.is_empty() {
        shards.push(Shard {
            sources: whole,
            share: (0, 1),
        });
    }
    for source in sources {
        let count = source.shards.map_or(0, |count| u32::from(count.get()));
        shards.extend((0..count).map(|number| Shard {
            sources: vec![source.clone()],
            share: (number, count),
        }));
    }
    shards
}

impl Shard {
    /// Whether a metric belongs to this shard.
    pub(crate) fn contains(&self, metric: &Metric) -> bool {
        is_in_share(metric, self.share)
    }
}

/// Whether a metric is in share `number` of `count`, by its hash.
pub(crate) fn is_in_share(metric: &Metric, (number, count): (u32, u32)) -> bool {
    count == 1 || crc32fast::hash(metric.id().as_bytes()) % count == number
}
