//! Exchanges that are polled: their names, addresses, and how to connect to them.

use std::sync::Arc;

use marketlake_common::Secret;
use url::Url;

use super::client::malformed;
use crate::error::FeedError;
use crate::feed::Feed;

/// Options of a connection to an exchange.
#[derive(Clone, Debug, Default)]
pub struct ExchangeOptions {
    /// Base URL; the exchange's own by default.
    pub base_url: Option<Url>,
    /// Key of its API.
    pub api_key: Option<Secret>,
    /// Markets to record, of an exchange that serves several.
    pub markets: Vec<String>,
}

/// Makes the feed of an exchange at a base URL.
pub(crate) type Connect = fn(Url, &ExchangeOptions) -> Result<Arc<dyn Feed>, FeedError>;

/// An exchange that is polled.
#[derive(Debug)]
pub struct Exchange {
    /// Its name in the settings.
    pub name: &'static str,
    /// Base URL of its public API.
    pub(crate) default_url: &'static str,
    /// Markets of its metrics, as far as the options name them.
    pub(crate) markets: fn(&ExchangeOptions) -> Vec<String>,
    /// Makes its feed at a base URL.
    pub(crate) connect: Connect,
}

impl Exchange {
    /// Markets of its metrics, as far as the options name them.
    #[must_use]
    pub fn markets(&self, options: &ExchangeOptions) -> Vec<String> {
        (self.markets)(options)
    }

    /// Makes its feed.
    ///
    /// # Errors
    /// If the options cannot be used.
    pub fn connect(&self, options: &ExchangeOptions) -> Result<Arc<dyn Feed>, FeedError> {
        let base = match &options.base_url {
            Some(url) => url.clone(),
            None => {
                Url::parse(self.default_url).map_err(|error| malformed(self.default_url, error))?
            }
        };
        (self.connect)(base, options)
    }
}

impl PartialEq for Exchange {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Exchange {}
