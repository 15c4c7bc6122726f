//! Configured feeds.

mod lake_replay;
mod unread_stream;

use std::sync::Arc;

use marketlake_common::one_of;
use marketlake_feeds::files::FileOptions;
use marketlake_feeds::{EXCHANGES, Exchange, Feed, FeedError, ReplayClock, ReplayFeed, Simulated};
use marketlake_jobs::Source;

use lake_replay::{LakeReplay, LakeReplayError};
use unread_stream::UnreadStream;

use crate::config::{self, ConfigError, FeedKind, FeedMode, Settings};

/// The feeds in their order, and the pace where one of them is a replay.
pub(crate) struct Feeds {
    pub(crate) all: Vec<Source>,
    pub(crate) pace: Option<ReplayClock>,
}

/// Use of the feeds by a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedUse {
    /// It ingests until it is stopped.
    Continuous,
    /// It ingests one slot.
    SingleRun,
    /// It does not ingest: no stream is opened.
    Unused,
}

/// Creates the configured feeds.
pub(crate) async fn make(settings: &Settings, usage: FeedUse) -> Result<Feeds, ConfigError> {
    let mut feeds = Feeds {
        all: Vec::new(),
        pace: None,
    };
    for (index, feed) in settings.feeds.iter().enumerate() {
        let name = |field: &str| format!("feeds.{index}.{field}");
        feeds.all.push(Source {
            feed: make_one(feed, usage, &name, &mut feeds.pace).await?,
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
    usage: FeedUse,
    name: &dyn Fn(&str) -> String,
    pace: &mut Option<ReplayClock>,
) -> Result<Arc<dyn Feed>, ConfigError> {
    Ok(match feed.kind() {
        FeedKind::Exchange(exchange) => of_exchange(exchange, feed, usage, name)?,
        FeedKind::Simulated => Arc::new(Simulated::new(feed.seed)),
        FeedKind::Replay => replay(feed, name, pace).await?,
    })
}

fn of_exchange(
    exchange: &Exchange,
    feed: &config::Feed,
    usage: FeedUse,
    name: &dyn Fn(&str) -> String,
) -> Result<Arc<dyn Feed>, ConfigError> {
    let unusable = |error: FeedError| ConfigError::setting(&name("kind"), exchange.name, error);
    let mode = feed.mode(exchange, usage == FeedUse::Continuous);
    if mode == FeedMode::Poll && exchange.is_polled() {
        return exchange.poll(&feed.exchange_options()).map_err(unusable);
    }
    match usage {
        FeedUse::Continuous => exchange.stream(feed.stream_options()).map_err(unusable),
        FeedUse::SingleRun => Err(no_single_run(exchange, mode, name)),
        FeedUse::Unused => Ok(Arc::new(UnreadStream(exchange.name))),
    }
}

/// Error of a single run whose exchange would have to be streamed.
fn no_single_run(
    exchange: &Exchange,
    mode: FeedMode,
    name: &dyn Fn(&str) -> String,
) -> ConfigError {
    if exchange.is_polled() {
        let problem = "expected poll: a single run cannot read a stream";
        return ConfigError::setting(&name("mode"), mode.name(), problem);
    }
    let polled = EXCHANGES.iter().filter(|exchange| exchange.is_polled());
    let polled: Vec<&str> = polled.map(|exchange| exchange.name).collect();
    let problem = format!(
        "expected {}: a single run cannot read a stream, and {} is not polled",
        one_of(&polled),
        exchange.name
    );
    ConfigError::setting(&name("kind"), exchange.name, problem)
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
