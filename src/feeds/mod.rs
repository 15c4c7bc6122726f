//! Configured feeds.

mod lake_replay;
mod unread_stream;

use std::sync::Arc;

use marketlake_common::one_of;
use marketlake_feeds::files::FileOptions;
use marketlake_feeds::{
    EXCHANGES, Exchange, ExchangeOptions, Feed, FeedError, HistoryFeed, ReplayClock, ReplayFeed,
    SharedPause, Simulated, StreamOptions,
};
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
        let pause = SharedPause::default();
        let made = make_one(feed, usage, &pause, &name, &mut feeds.pace).await?;
        let source = Source::whole(made);
        let markets = feed.ingested_markets();
        let history = history(feed, pause, &name)?;
        feeds.all.push(Source {
            shards: feed.shards(),
            markets: match markets.is_empty() {
                true => source.markets,
                false => markets,
            },
            is_corrected: history.is_some() && is_polled(feed, usage),
            history,
            feed: source.feed,
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

/// History of a feed's exchange, where there is one.
fn history(
    feed: &config::Feed,
    pause: SharedPause,
    name: &dyn Fn(&str) -> String,
) -> Result<Option<Arc<HistoryFeed>>, ConfigError> {
    let FeedKind::Exchange(exchange) = feed.kind() else {
        return Ok(None);
    };
    exchange
        .history(&ExchangeOptions {
            pause,
            ..feed.exchange_options()
        })
        .map_err(|error| ConfigError::setting(&name("kind"), exchange.name, error))
}

/// Whether an exchange's feed is polled.
fn is_polled(feed: &config::Feed, usage: FeedUse) -> bool {
    match feed.kind() {
        FeedKind::Exchange(exchange) => {
            feed.mode(exchange, usage == FeedUse::Continuous) == FeedMode::Poll
        }
        FeedKind::Simulated | FeedKind::Replay => false,
    }
}

async fn make_one(
    feed: &config::Feed,
    usage: FeedUse,
    pause: &SharedPause,
    name: &dyn Fn(&str) -> String,
    pace: &mut Option<ReplayClock>,
) -> Result<Arc<dyn Feed>, ConfigError> {
    Ok(match feed.kind() {
        FeedKind::Exchange(exchange) => of_exchange(exchange, feed, usage, pause, name)?,
        FeedKind::Simulated => Arc::new(Simulated::new(feed.seed)),
        FeedKind::Replay => replay(feed, name, pace).await?,
    })
}

fn of_exchange(
    exchange: &Exchange,
    feed: &config::Feed,
    usage: FeedUse,
    pause: &SharedPause,
    name: &dyn Fn(&str) -> String,
) -> Result<Arc<dyn Feed>, ConfigError> {
    let pause = pause.clone();
    let unusable = |error: FeedError| ConfigError::setting(&name("kind"), exchange.name, error);
    let mode = feed.mode(exchange, usage == FeedUse::Continuous);
    if mode == FeedMode::Poll && exchange.is_polled() {
        let options = ExchangeOptions {
            pause,
            ..feed.exchange_options()
        };
        return exchange.poll(&options).map_err(unusable);
    }
    match usage {
        FeedUse::Continuous => {
            let options = StreamOptions {
                pause,
                ..feed.stream_options()
            };
            exchange.stream(options).map_err(unusable)
        }
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
