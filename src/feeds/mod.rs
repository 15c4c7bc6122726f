//! Configured feeds.

mod lake_replay;

use std::sync::Arc;

use marketlake_feeds::files::FileOptions;
use marketlake_feeds::{Feed, ReplayClock, ReplayFeed, Simulated};
use marketlake_jobs::Source;

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
    Ok(match feed.kind() {
        FeedKind::Exchange(exchange) => {
            let made = exchange.connect(&feed.exchange_options());
            made.map_err(|error| ConfigError::setting(&name("kind"), exchange.name, error))?
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
