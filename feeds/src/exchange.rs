//! Exchanges: the one table of their names, addresses, and feeds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use marketlake_common::Secret;
use url::Url;

use crate::error::FeedError;
use crate::feed::Feed;
use crate::history::HistoryFeed;
use crate::history::binance::BinanceHistory;
use crate::history::bitstamp::BitstampHistory;
use crate::history::bybit::BybitHistory;
use crate::history::coinbase::CoinbaseHistory;
use crate::history::kraken::KrakenHistory;
use crate::history::okx::OkxHistory;
use crate::history::protocol::HistoryProtocol;
use crate::poll::binance::BinancePoll;
use crate::poll::bitstamp::BitstampPoll;
use crate::poll::bybit::BybitPoll;
use crate::poll::client::{SharedPause, malformed};
use crate::poll::coinbase::CoinbasePoll;
use crate::poll::cryptowatch::Cryptowatch;
use crate::poll::feed::PollFeed;
use crate::poll::kraken::KrakenPoll;
use crate::poll::okx::OkxPoll;
use crate::poll::protocol::PollProtocol;
use crate::stream::binance::BinanceStream;
use crate::stream::bitstamp::BitstampStream;
use crate::stream::bybit::BybitStream;
use crate::stream::coinbase::CoinbaseStream;
use crate::stream::kraken::KrakenStream;
use crate::stream::okx::OkxStream;
use crate::stream::{StreamFeed, StreamOptions, StreamProtocol};

/// All exchanges; the first is the default.
pub static EXCHANGES: [Exchange; 7] = [
    Exchange {
        name: "binance",
        // The host of market data alone, which takes no key.
        default_url: "https://data-api.binance.vision",
        has_markets: false,
        poll: Some(Poll::Tickers(&BinancePoll)),
        stream: Some(&BinanceStream),
        history: Some(&BinanceHistory),
    },
    Exchange {
        name: "kraken",
        default_url: "https://api.kraken.com",
        has_markets: false,
        poll: Some(Poll::Tickers(&KrakenPoll)),
        stream: Some(&KrakenStream),
        history: Some(&KrakenHistory),
    },
    Exchange {
        name: "coinbase",
        default_url: "https://api.exchange.coinbase.com",
        has_markets: false,
        poll: Some(Poll::Tickers(&CoinbasePoll)),
        stream: Some(&CoinbaseStream),
        history: Some(&CoinbaseHistory),
    },
    Exchange {
        name: "okx",
        default_url: "https://www.okx.com",
        has_markets: false,
        poll: Some(Poll::Tickers(&OkxPoll)),
        stream: Some(&OkxStream),
        history: Some(&OkxHistory),
    },
    Exchange {
        name: "bybit",
        default_url: "https://api.bybit.com",
        has_markets: false,
        poll: Some(Poll::Tickers(&BybitPoll)),
        stream: Some(&BybitStream),
        history: Some(&BybitHistory),
    },
    Exchange {
        name: "bitstamp",
        default_url: "https://www.bitstamp.net",
        has_markets: false,
        poll: Some(Poll::Tickers(&BitstampPoll)),
        stream: Some(&BitstampStream),
        history: Some(&BitstampHistory),
    },
    Exchange {
        name: "cryptowatch",
        default_url: Cryptowatch::DEFAULT_URL,
        has_markets: true,
        poll: Some(Poll::Cryptowatch),
        stream: None,
        history: None,
    },
];

/// Options of the feed that polls an exchange.
#[derive(Clone, Debug, Default)]
pub struct ExchangeOptions {
    /// Base URL; the exchange's own by default.
    pub base_url: Option<Url>,
    /// Key of its API.
    pub api_key: Option<Secret>,
    /// Markets to record, of an exchange that serves several.
    pub markets: Vec<String>,
    /// Contact of the operator, a mail address or URL, for the header `User-Agent`.
    pub contact: Option<String>,
    /// Timeout of one request; 8 seconds by default.
    pub timeout: Option<Duration>,
    /// Pause that other requests to the exchange share.
    pub pause: SharedPause,
}

/// Feed that polls an exchange.
enum Poll {
    /// The tickers of all pairs.
    Tickers(&'static dyn PollProtocol),
    /// Cryptowatch's prices of several markets.
    Cryptowatch,
}

/// An exchange: it is polled, or has a stream or a history, or all of these.
pub struct Exchange {
    /// Its name in the settings.
    pub name: &'static str,
    /// Base URL of its public REST API.
    default_url: &'static str,
    /// Whether it serves the markets that the options name. Else its only market has its name.
    pub has_markets: bool,
    poll: Option<Poll>,
    stream: Option<&'static dyn StreamProtocol>,
    history: Option<&'static dyn HistoryProtocol>,
}

/// Protocol of an exchange's stream, by the exchange's name.
#[must_use]
pub fn stream_protocol(name: &str) -> Option<&'static dyn StreamProtocol> {
    Exchange::by_name(name).and_then(|exchange| exchange.stream)
}

impl Exchange {
    /// The exchange of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        EXCHANGES.iter().find(|exchange| exchange.name == name)
    }

    /// Whether it can be polled.
    #[must_use]
    pub fn is_polled(&self) -> bool {
        self.poll.is_some()
    }

    /// Whether it has a stream.
    #[must_use]
    pub fn has_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether it has a history.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.history.is_some()
    }

    /// Markets of its metrics, as far as the options name them.
    #[must_use]
    pub fn markets(&self, options: &ExchangeOptions) -> Vec<String> {
        match self.has_markets {
            true => options.markets.clone(),
            false => vec![self.name.to_owned()],
        }
    }

    /// Makes the feed that polls it: the last price of every pair and, except of `cryptowatch`, its
    /// volume of 24 hours.
    ///
    /// # Errors
    /// If it is not polled, or the options cannot be used.
    pub fn poll(&self, options: &ExchangeOptions) -> Result<Arc<dyn Feed>, FeedError> {
        let poll = self.poll.as_ref();
        let poll = poll.ok_or_else(|| self.unusable("it is not polled"))?;
        let (timeout, contact) = (options.timeout, options.contact.as_deref());
        let default_url = poll.default_url().unwrap_or(self.default_url);
        let base = match &options.base_url {
            Some(url) => url.clone(),
            None => parsed(default_url)?,
        };
        let feed: Arc<dyn Feed> = match poll {
            Poll::Tickers(protocol) => {
                let feed = PollFeed::new(*protocol, base, timeout, contact)?;
                Arc::new(feed.with_pause(options.pause.clone()))
            }
            Poll::Cryptowatch => {
                let (api_key, markets) = (options.api_key.as_ref(), options.markets.clone());
                let api_key = api_key.map(Secret::expose);
                let feed = Cryptowatch::with_contact(base, api_key, markets, timeout, contact)?;
                Arc::new(feed)
            }
        };
        Ok(feed)
    }

    /// Makes the feed of its history, if it has one.
    ///
    /// # Errors
    /// If the options cannot be used.
    pub fn history(
        &self,
        options: &ExchangeOptions,
    ) -> Result<Option<Arc<HistoryFeed>>, FeedError> {
        let Some(protocol) = self.history else {
            return Ok(None);
        };
        let base_url = match &options.base_url {
            Some(url) => url.clone(),
            None => parsed(self.default_url)?,
        };
        let (timeout, contact) = (options.timeout, options.contact.as_deref());
        let feed = HistoryFeed::new(protocol, base_url, timeout, contact)?;
        Ok(Some(Arc::new(feed.with_pause(options.pause.clone()))))
    }

    /// Starts to read its stream, in the background. Where the same server is polled, too, prices
    /// of pairs that are not traded come from there, unless the options name another feed.
    ///
    /// # Errors
    /// If it has no stream, or the options cannot be used.
    pub fn stream(&self, mut options: StreamOptions) -> Result<Arc<dyn Feed>, FeedError> {
        let stream = self
            .stream
            .ok_or_else(|| self.unusable("it has no stream"))?;
        let poll_url = self.poll.as_ref().and_then(Poll::default_url);
        let is_other_server = poll_url.is_some() && options.base_url.is_some();
        if self.is_polled() && !is_other_server && options.prices.is_none() {
            options.prices = Some(self.poll(&ExchangeOptions {
                base_url: options.base_url.clone(),
                contact: options.contact.clone(),
                pause: options.pause.clone(),
                ..ExchangeOptions::default()
            })?);
        }
        let feed = StreamFeed::start(stream, self.default_url, options)?;
        Ok(feed)
    }

    fn unusable(&self, reason: &str) -> FeedError {
        FeedError::Unreachable {
            url: self.name.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

impl Poll {
    /// Base URL, where it is another than that of the exchange's other requests.
    fn default_url(&self) -> Option<&'static str> {
        match self {
            Self::Tickers(protocol) => protocol.default_url(),
            Self::Cryptowatch => None,
        }
    }
}

/// Parses a URL of the table.
fn parsed(url: &str) -> Result<Url, FeedError> {
    Url::parse(url).map_err(|error| malformed(url, error))
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchange").field(&self.name).finish()
    }
}

impl PartialEq for Exchange {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Exchange {}
