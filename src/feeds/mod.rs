//! Configured feeds.

mod lake_replay;

use std::sync::Arc;

use marketlake_common::Secret;
use marketlake_feeds::files::FileOptions;
use marketlake_feeds::{Binance, Cryptowatch, Feed, ReplayClock, ReplayFeed, Simulated};
use marketlake_jobs::Source;
use url::Url;

use lake_replay::{LakeReplay, LakeReplayError};

use crate::config::{self, ConfigError, FeedKind, Settings};

/// The feeds in their order, and the pace where one of them is a replay.
pub(crate) struct Feeds {
    pub(crate) all: Vec<Source>,
    pub(crate) pace: Option<ReplayClock>,
}

/// Creates the configured feeds.
pub(crate) async fn make(settings: &Settings) -> Result<Feeds, ConfigError> {
    let mut feeds = Feeds {
        all: Vec::new(),
        pace: None,
    };
    for (index, feed) in settings.feeds.iter().enumerate() {
        let name = |field: &str| format!("feeds.{index}.{field}");
        feeds.all.push(Source {
            feed: make_one(feed, &name, &mut feeds.pace).await?,
            shards: feed.shards(),
        });
    }
    if feeds.pace.is_some() && feeds.all.len() > 1 {
        return Err(ConfigError::setting(
            "feeds",
            "replay",
            "expected a replay to be the only feed: it has its own clock",
        ));
    }
    Ok(feeds)
}

async fn make_one(
    feed: &config::Feed,
    name: &dyn Fn(&str) -> String,
    pace: &mut Option<ReplayClock>,
) -> Result<Arc<dyn Feed>, ConfigError> {
    let kind = format!("{:?}", feed.kind()).to_lowercase();
    let unusable =
        |error: &dyn std::fmt::Display| ConfigError::setting(&name("kind"), &kind, error);
    Ok(match feed.kind() {
        FeedKind::Binance => {
            let base = base_url(feed, Binance::DEFAULT_URL)?;
            Arc::new(Binance::new(base, None).map_err(|error| unusable(&error))?)
        }
        FeedKind::Cryptowatch => {
            let base = base_url(feed, Cryptowatch::DEFAULT_URL)?;
            let api_key = feed.api_key.as_ref().map(Secret::expose);
            let made = Cryptowatch::new(base, api_key, feed.markets.clone(), None);
            Arc::new(made.map_err(|error| unusable(&error))?)
        }
        FeedKind::Simulated => Arc::new(Simulated::new(feed.seed)),
        FeedKind::Replay => replay(feed, name, pace).await?,
    })
}

async fn replay(
    feed: &config::Feed,
    name: &dyn Fn(&str) -> String,
    pace: &mut Option<ReplayClock>,
) -> Result<Arc<dyn Feed>, ConfigError> {
    let speed = feed.speed.as_deref().copied().unwrap_or(1.0);
    let from = feed.from.as_deref().copied();
    let to = feed.to.as_deref().copied();
    if let Some(folder) = &feed.lake {
        let unusable = |error: LakeReplayError| {
            ConfigError::setting(&name("lake"), &folder.display().to_string(), error)
        };
        let replay = LakeReplay::open(folder, from, to, speed)
            .await
            .map_err(unusable)?;
        *pace = Some(replay.clock());
        return Ok(Arc::new(replay));
    }
    let options = FileOptions {
        market: feed.market.clone(),
        ..FileOptions::default()
    };
    let replay = ReplayFeed::read(&feed.files, &options, from, to, speed).map_err(|error| {
        ConfigError::setting(&name("files"), &format!("{:?}", feed.files), error)
    })?;
    *pace = Some(replay.clock());
    Ok(Arc::new(replay))
}

fn base_url(feed: &config::Feed, usual: &str) -> Result<Url, ConfigError> {
    match feed.base_url.as_deref() {
        Some(url) => Ok(url.clone()),
        None => usual.parse().map_err(|error| {
            // The exchange's own address, which is built in.
            ConfigError::setting("feeds.base_url", usual, error)
        }),
    }
}
