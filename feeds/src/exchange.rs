//! Exchanges: the one table of their names, addresses, and feeds.

use std::fmt;
use std::sync::Arc;

use marketlake_common::Secret;
use url::Url;

use crate::error::FeedError;
use crate::feed::Feed;
use crate::poll::binance::Binance;
use crate::poll::client::malformed;
use crate::poll::cryptowatch::Cryptowatch;
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
        poll: Some(|base, options| {
            let contact = options.contact.as_deref();
            Ok(Arc::new(Binance::with_contact(base, None, contact)?))
        }),
        ..Exchange::streamed("binance", Binance::DEFAULT_URL, &BinanceStream)
    },
    Exchange::streamed("kraken", "https://api.kraken.com", &KrakenStream),
    Exchange::streamed(
        "coinbase",
        "https://api.exchange.coinbase.com",
        &CoinbaseStream,
    ),
    Exchange::streamed("okx", "https://www.okx.com", &OkxStream),
    Exchange::streamed("bybit", "https://api.bybit.com", &BybitStream),
    Exchange::streamed("bitstamp", "https://www.bitstamp.net", &BitstampStream),
    Exchange {
        name: "cryptowatch",
        default_url: Cryptowatch::DEFAULT_URL,
        has_markets: true,
        poll: Some(|base, options| {
            let api_key = options.api_key.as_ref().map(Secret::expose);
            let (markets, contact) = (options.markets.clone(), options.contact.as_deref());
            let feed = Cryptowatch::with_contact(base, api_key, markets, None, contact)?;
            Ok(Arc::new(feed))
        }),
        stream: None,
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
}

/// Makes the feed that polls an exchange at a base URL.
type PollFeed = fn(Url, &ExchangeOptions) -> Result<Arc<dyn Feed>, FeedError>;

/// An exchange: it is polled, or has a stream, or both.
pub struct Exchange {
    /// Its name in the settings.
    pub name: &'static str,
    /// Base URL of its public REST API.
    default_url: &'static str,
    /// Whether it serves the markets that the options name. Else its only market has its name.
    has_markets: bool,
    poll: Option<PollFeed>,
    stream: Option<&'static dyn StreamProtocol>,
}

/// Protocol of an exchange's stream, by the exchange's name.
#[must_use]
pub fn stream_protocol(name: &str) -> Option<&'static dyn StreamProtocol> {
    let exchange = EXCHANGES.iter().find(|exchange| exchange.name == name);
    exchange.and_then(|exchange| exchange.stream)
}

impl Exchange {
    /// An exchange with a stream.
    const fn streamed(
        name: &'static str,
        default_url: &'static str,
        stream: &'static dyn StreamProtocol,
    ) -> Self {
        Self {
            name,
            default_url,
            has_markets: false,
            poll: None,
            stream: Some(stream),
        }
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

    /// Markets of its metrics, as far as the options name them.
    #[must_use]
    pub fn markets(&self, options: &ExchangeOptions) -> Vec<String> {
        match self.has_markets {
            true => options.markets.clone(),
            false => vec![self.name.to_owned()],
        }
    }

    /// Makes the feed that polls it.
    ///
    /// # Errors
    /// If it is not polled, or the options cannot be used.
    pub fn poll(&self, options: &ExchangeOptions) -> Result<Arc<dyn Feed>, FeedError> {
        let poll = self.poll.ok_or_else(|| self.unusable("it is not polled"))?;
        let base = match &options.base_url {
            Some(url) => url.clone(),
            None => {
                Url::parse(self.default_url).map_err(|error| malformed(self.default_url, error))?
            }
        };
        poll(base, options)
    }

    /// Starts to read its stream, in the background. Where it is polled, too, prices of pairs that
    /// are not traded come from there, unless the options name another feed.
    ///
    /// # Errors
    /// If it has no stream, or the options cannot be used.
    pub fn stream(&self, mut options: StreamOptions) -> Result<Arc<dyn Feed>, FeedError> {
        let stream = self
            .stream
            .ok_or_else(|| self.unusable("it has no stream"))?;
        if self.is_polled() && options.prices.is_none() {
            options.prices = Some(self.poll(&ExchangeOptions {
                base_url: options.base_url.clone(),
                contact: options.contact.clone(),
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
