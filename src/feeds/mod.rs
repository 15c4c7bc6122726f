//! Configured feeds.

mod lake_replay;

use std::num::NonZeroU16;
use std::sync::Arc;

use marketlake_common::{Secret, SecretUrl};
use marketlake_feeds::files::FileOptions;
use marketlake_feeds::{Binance, Cryptowatch, Feed, ReplayClock, ReplayFeed, Simulated};
use marketlake_jobs::Source;
use marketlake_model::{Minute, parse_time};
use url::Url;

use lake_replay::{LakeReplay, LakeReplayError};

use crate::config::{self, ConfigError, FeedKind, Settings};

const MAX_SHARDS: u16 = 64;

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
        let shards = feed.shards.map(|shards| {
            let count = u16::try_from(shards)
                .ok()
                .filter(|count| *count <= MAX_SHARDS);
            count.and_then(NonZeroU16::new).ok_or_else(|| {
                let problem = format!("expected a number from 1 to {MAX_SHARDS}");
                ConfigError::setting(&name("shards"), &shards.to_string(), problem)
            })
        });
        feeds.all.push(Source {
            feed: make_one(feed, &name, &mut feeds.pace).await?,
            shards: shards.transpose()?,
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
    let kind = format!("{:?}", feed.kind).to_lowercase();
    let unusable =
        |error: &dyn std::fmt::Display| ConfigError::setting(&name("kind"), &kind, error);
    Ok(match feed.kind {
        FeedKind::Binance => {
            let base = base_url(feed, name, Binance::DEFAULT_URL)?;
            Arc::new(Binance::new(base, None).map_err(|error| unusable(&error))?)
        }
        FeedKind::Cryptowatch => {
            let base = base_url(feed, name, Cryptowatch::DEFAULT_URL)?;
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
    let speed = feed.speed.unwrap_or(1.0);
    if !(speed > 0.0 && speed <= 100_000.0) {
        let problem = "expected a number above 0 and at most 100000";
        return Err(ConfigError::setting(
            &name("speed"),
            &speed.to_string(),
            problem,
        ));
    }
    let from = minute(feed.from.as_deref(), &name("from"))?;
    let to = minute(feed.to.as_deref(), &name("to"))?;
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

fn minute(text: Option<&str>, name: &str) -> Result<Option<Minute>, ConfigError> {
    text.map(|text| match parse_time(text) {
        Ok(time) => Ok(time.minute()),
        Err(error) => Err(ConfigError::setting(name, text, error)),
    })
    .transpose()
}

fn base_url(
    feed: &config::Feed,
    name: &dyn Fn(&str) -> String,
    usual: &str,
) -> Result<Url, ConfigError> {
    let text = feed.base_url.as_ref().map_or(usual, SecretUrl::expose);
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| {
            ConfigError::setting(
                &name("base_url"),
                &feed.base_url.clone().unwrap_or_default().to_string(),
                "expected an address like https://api.example.com",
            )
        })
}
