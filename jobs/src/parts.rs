//! How a minute's ingest is split, so that several processes share it.

use std::num::NonZeroU16;
use std::sync::Arc;

use marketlake_feeds::Feed;
use marketlake_model::Metric;

/// A feed, and in how many parts its metrics are ingested.
#[derive(Clone)]
pub struct Source {
    /// The feed.
    pub feed: Arc<dyn Feed>,
    /// `None`: together with the other feeds that are not split, in one part.
    pub shards: Option<NonZeroU16>,
}

impl Source {
    /// A feed that is not split.
    #[must_use]
    pub fn whole(feed: Arc<dyn Feed>) -> Self {
        Self { feed, shards: None }
    }
}

/// One part of a minute: what one slot does.
#[derive(Clone)]
pub(crate) struct Part {
    /// Asked in this order; earlier ones win a metric.
    pub(crate) feeds: Vec<Arc<dyn Feed>>,
    /// Which of how many by the metrics' hashes.
    share: (u32, u32),
}

/// All parts, by their numbers: first the one of the feeds that are not split, where there are any, then each other feed's.
pub(crate) fn parts(sources: &[Source]) -> Vec<Part> {
    let whole: Vec<Arc<dyn Feed>> = sources
        .iter()
        .filter(|source| source.shards.is_none())
        .map(|source| Arc::clone(&source.feed))
        .collect();
    let mut parts = Vec::new();
    if !whole.is_empty() {
        parts.push(Part {
            feeds: whole,
            share: (0, 1),
        });
    }
    for source in sources {
        let count = source.shards.map_or(0, |count| u32::from(count.get()));
        parts.extend((0..count).map(|number| Part {
            feeds: vec![Arc::clone(&source.feed)],
            share: (number, count),
        }));
    }
    parts
}

impl Part {
    /// Whether a metric is this part's.
    pub(crate) fn holds(&self, metric: &Metric) -> bool {
        is_in_share(metric, self.share)
    }
}

/// Whether a metric is in one of so many shares, by its hash.
pub(crate) fn is_in_share(metric: &Metric, (number, count): (u32, u32)) -> bool {
    count == 1 || crc32fast::hash(metric.id().as_bytes()) % count == number
}
