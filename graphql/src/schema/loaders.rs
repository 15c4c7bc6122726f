//! Data loaders: batch the reads of many objects of one request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Result;
use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};
use marketlake_http::request_id::RequestId;
use marketlake_lake::{
    Lake, LakeError, MetricRank, Point, QueryEngine, Span, Statistic, inherit_recorder,
};
use marketlake_model::{Metric, Minute};
use tracing::Instrument;

/// Loads for one request. In its data.
pub(crate) struct Loaders {
    pub(super) latest: DataLoader<LatestLoader, HashMapCache>,
    pub(super) ranks: DataLoader<RankLoader, HashMapCache>,
    pub(super) series: DataLoader<SeriesLoader, HashMapCache>,
}

/// The latest sample of metrics in the 24 hours up to a minute.
pub(super) struct LatestLoader(Arc<Lake>);

/// Places of metrics by a statistic over the 24 hours up to a minute.
pub(super) struct RankLoader(Arc<Lake>);

/// Samples of metrics in a span.
pub(super) struct SeriesLoader(Arc<Lake>);

impl Loaders {
    pub(crate) fn new(lake: &Arc<Lake>) -> Self {
        Self {
            latest: loader(LatestLoader(Arc::clone(lake))),
            ranks: loader(RankLoader(Arc::clone(lake))),
            series: loader(SeriesLoader(Arc::clone(lake))),
        }
    }
}

/// Builds a loader whose batch holds all keys requested until the executor is idle.
fn loader<L: Send + Sync + 'static>(of: L) -> DataLoader<L, HashMapCache> {
    let spawn = |loading| {
        let loading = RequestId::inherit(inherit_recorder(loading));
        tokio::spawn(loading.in_current_span())
    };
    DataLoader::with_cache(of, spawn, HashMapCache::default()).delay(Duration::ZERO)
}

type LatestKey = (Metric, Option<Minute>);
pub(super) type RankKey = (Metric, Statistic, Option<Minute>);
/// The first and the last minute.
pub(super) type SeriesKey = (Metric, Minute, Minute);

impl Loader<LatestKey> for LatestLoader {
    type Value = Point;
    type Error = Arc<LakeError>;

    async fn load(&self, keys: &[LatestKey]) -> Result<HashMap<LatestKey, Point>, Self::Error> {
        let mut found = HashMap::new();
        for (at, keys) in grouped(keys, |key| key.1) {
            let Some(day) = self.0.queries().last_24h(at).await? else {
                continue;
            };
            let metrics: Vec<Metric> = keys.iter().map(|key| key.0.clone()).collect();
            let latest = self.0.engine().latest(&metrics, day).await?;
            let known = keys.into_iter().zip(latest);
            found.extend(known.filter_map(|(key, point)| Some((key.clone(), point?))));
        }
        Ok(found)
    }
}

impl Loader<RankKey> for RankLoader {
    type Value = MetricRank;
    type Error = Arc<LakeError>;

    async fn load(&self, keys: &[RankKey]) -> Result<HashMap<RankKey, MetricRank>, Self::Error> {
        let mut found = HashMap::new();
        let group = |key: &RankKey| (key.0.measure().to_owned(), key.1, key.2);
        for ((measure, statistic, at), keys) in grouped(keys, group) {
            let ranks = self
                .0
                .queries()
                .rank_all(&self.0.engine(), &measure, statistic, at)
                .await?;
            let Some(ranks) = ranks else { continue };
            let known = keys.into_iter().map(|key| {
                let rank = self.0.queries().rank_in(&ranks, key.0.clone());
                (key.clone(), rank)
            });
            found.extend(known);
        }
        Ok(found)
    }
}

impl Loader<SeriesKey> for SeriesLoader {
    type Value = Arc<Vec<Point>>;
    type Error = Arc<LakeError>;

    async fn load(
        &self,
        keys: &[SeriesKey],
    ) -> Result<HashMap<SeriesKey, Self::Value>, Self::Error> {
        let mut found = HashMap::new();
        for ((from, to), keys) in grouped(keys, |key| (key.1, key.2)) {
            let metrics: Vec<Metric> = keys.iter().map(|key| key.0.clone()).collect();
            let series = self.0.engine().series(&metrics, Span { from, to }).await?;
            let known = keys
                .into_iter()
                .cloned()
                .zip(series.into_iter().map(Arc::new));
            found.extend(known);
        }
        Ok(found)
    }
}

fn grouped<K, G: std::hash::Hash + Eq>(keys: &[K], group: impl Fn(&K) -> G) -> HashMap<G, Vec<&K>> {
    let mut groups: HashMap<G, Vec<&K>> = HashMap::new();
    for key in keys {
        groups.entry(group(key)).or_default().push(key);
    }
    groups
}
