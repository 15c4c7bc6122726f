//! Binance's `GET /api/v3/ticker/price`: the last price of every symbol, in one answer of weight 4.
//!
//! Source: Binance's spot API documentation. 429 and 418 carry `Retry-After` in seconds;
//! `X-MBX-USED-WEIGHT-1M` says how much of the minute's weight this address has used.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use marketlake_model::{Metric, Minute, PRICE};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::client::{ExchangeClient, HttpResponse, malformed};
use super::credentials::Credentials;
use crate::batch::Batch;
use crate::error::FeedError;
use crate::feed::{Coverage, Feed};
use crate::json::decimal_text;

pub(crate) const MARKET: &str = "binance";
/// Limit of the used weight, of the 6,000 a minute that an IP address has.
const MAX_USED_WEIGHT: u64 = 5_000;
const WEIGHT_PAUSE: Duration = Duration::from_secs(60);

/// The feed.
pub struct Binance {
    pub(crate) client: ExchangeClient,
    base: Url,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    price: &'a RawValue,
}

impl Binance {
    /// Binance's host for market data without a key.
    pub const DEFAULT_URL: &str = "https://data-api.binance.vision";

    /// The feed at `base`.
    ///
    /// # Errors
    /// Fails if no HTTP client can be made.
    pub fn new(base: Url, timeout: Option<Duration>) -> Result<Self, FeedError> {
        Self::with_contact(base, timeout, None)
    }

    /// The feed at `base`, with the operator's contact in the header `User-Agent`.
    ///
    /// # Errors
    /// Fails if no header may hold the contact.
    pub fn with_contact(
        mut base: Url,
        timeout: Option<Duration>,
        contact: Option<&str>,
    ) -> Result<Self, FeedError> {
        let credentials = Credentials::take_from(&mut base);
        Ok(Self {
            client: ExchangeClient::new(credentials, timeout, contact)?,
            base,
        })
    }

    pub(crate) fn endpoint(&self, path: &[&str]) -> Result<Url, FeedError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| malformed(self.base.as_str(), "expected an http address"))?
            .pop_if_empty()
            .extend(path);
        Ok(url)
    }

    /// The last price of every symbol, as of a minute.
    pub(crate) async fn prices(&self, slot: Minute) -> Result<Batch, FeedError> {
        let url = self.endpoint(&["api", "v3", "ticker", "price"])?;
        let read = |answer: &HttpResponse| {
            self.track_used_weight(&answer.headers);
            parse(url.as_str(), slot, &answer.body)
        };
        let batch = self.client.get(url.as_str(), read).await?;
        batch.into_non_empty(url.as_str())
    }

    /// Tracks the used weight: near the limit, all requests pause for a minute.
    pub(crate) fn track_used_weight(&self, headers: &HeaderMap) {
        let used = headers
            .get("x-mbx-used-weight-1m")
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if used.is_some_and(|used| used >= MAX_USED_WEIGHT) {
            tracing::warn!(used, "near the weight limit, pausing for a minute");
            self.client.pause_for(WEIGHT_PAUSE);
        }
    }
}

#[async_trait]
impl Feed for Binance {
    fn name(&self) -> &str {
        MARKET
    }

    fn coverage(&self) -> Coverage {
        Coverage::LiveOnly
    }

    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        self.prices(slot).await
    }
}

fn parse(url: &str, slot: Minute, body: &str) -> Result<Batch, FeedError> {
    let tickers: Vec<&RawValue> =
        serde_json::from_str(body).map_err(|error| malformed(url, error))?;
    let mut batch = Batch::default();
    for ticker in tickers {
        match serde_json::from_str::<Ticker<'_>>(ticker.get()) {
            Err(error) => batch.reject(ticker.get(), &error.to_string()),
            Ok(Ticker { symbol, price }) => match Metric::new(MARKET, &symbol, PRICE) {
                Ok(metric) => batch.offer(&symbol, metric, slot, decimal_text(price)),
                Err(error) => batch.reject(&symbol, &error.to_string()),
            },
        }
    }
    Ok(batch)
}
