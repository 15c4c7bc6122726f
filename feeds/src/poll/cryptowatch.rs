//! Cryptowatch's `GET /markets/prices`: the last price of every market, in pages.
//!
//! The service closed in 2023; its wire format lives on in recordings and in stand-ins, so the
//! address is configurable. Body:
//! `{"result":{"market:EXCHANGE:PAIR":NUMBER,..},"cursor":{"last":"..","hasMore":false},..}`.

use std::time::Duration;

use async_trait::async_trait;
use marketlake_model::{Metric, Minute, PRICE};
use reqwest::header::HeaderName;
use serde::Deserialize;
use url::Url;

use super::client::{ExchangeClient, HttpResponse, malformed, truncate_message};
use super::credentials::Credentials;
use crate::batch::Batch;
use crate::error::FeedError;
use crate::feed::{Coverage, Feed};
use crate::json::{Entries, decimal_text};

/// Far more pages than there ever were; a cursor that never ends is an error.
const MAX_PAGES: usize = 1_000;
/// Cursors are short; a longer one is no cursor.
const MAX_CURSOR_BYTES: usize = 1_000;
const API_KEY: HeaderName = HeaderName::from_static("x-cw-api-key");
/// Its allowance was renewed within the day; retried after an hour.
const ALLOWANCE_PAUSE: Duration = Duration::from_secs(3_600);

/// The feed.
pub struct Cryptowatch {
    client: ExchangeClient,
    base: Url,
    markets: Vec<String>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    result: Option<Entries<'a>>,
    cursor: Option<Cursor>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cursor {
    last: Option<String>,
    #[serde(default)]
    has_more: bool,
}

impl Cryptowatch {
    /// Former URL of the service.
    pub const DEFAULT_URL: &str = "https://api.cryptowat.ch";

    /// The feed at `base`, with an API key where there is one; `markets` limits it to some
    /// exchanges (none: all).
    ///
    /// # Errors
    /// Fails if the key is no header value.
    pub fn new(
        base: Url,
        api_key: Option<&str>,
        markets: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<Self, FeedError> {
        Self::with_contact(base, api_key, markets, timeout, None)
    }

    /// The feed at `base` with the operator's contact in the header `User-Agent`.
    ///
    /// # Errors
    /// Fails if no header may hold the key or the contact.
    pub fn with_contact(
        mut base: Url,
        api_key: Option<&str>,
        markets: Vec<String>,
        timeout: Option<Duration>,
        contact: Option<&str>,
    ) -> Result<Self, FeedError> {
        let mut credentials = Credentials::take_from(&mut base);
        if let Some(key) = api_key {
            let with_key = credentials.with_api_key(API_KEY, key);
            let problem = "the API key holds characters that no header may hold";
            credentials = with_key.ok_or_else(|| malformed(base.as_str(), problem))?;
        }
        Ok(Self {
            client: ExchangeClient::new(credentials, timeout, contact)?,
            base,
            markets,
        })
    }

    fn page_url(&self, cursor: Option<&str>) -> Result<Url, FeedError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| malformed(self.base.as_str(), "expected an http address"))?
            .pop_if_empty()
            .extend(["markets", "prices"]);
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        Ok(url)
    }

    fn take(&self, batch: &mut Batch, slot: Minute, key: &str, value: &str) {
        let parts: Vec<&str> = key.split(':').collect();
        let [kind, market, pair] = parts[..] else {
            return batch.reject(key, "expected a key of the form kind:exchange:pair");
        };
        if kind != "market" {
            batch.count_other(kind);
        } else if self.markets.is_empty() || self.markets.iter().any(|m| m == market) {
            match Metric::new(market, pair, PRICE) {
                Ok(metric) => batch.offer(key, metric, slot, value),
                Err(error) => batch.reject(key, &error.to_string()),
            }
        }
    }
}

#[async_trait]
impl Feed for Cryptowatch {
    fn name(&self) -> &str {
        "cryptowatch"
    }

    fn coverage(&self) -> Coverage {
        Coverage::LiveOnly
    }

    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        let mut batch = Batch::default();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let url = self.page_url(cursor.as_deref())?;
            let (page, next) = self
                .client
                .get(url.as_str(), |answer| {
                    self.parse(url.as_str(), slot, answer)
                })
                .await?;
            batch.merge(page);
            match next {
                None => return batch.into_non_empty(self.page_url(None)?.as_str()),
                Some(next) if next.len() > MAX_CURSOR_BYTES => {
                    let length = next.len();
                    let reason = format!(
                        "cursor.last: expected at most {MAX_CURSOR_BYTES} bytes, got {length}"
                    );
                    return Err(malformed(url.as_str(), reason));
                }
                Some(next) if cursor.as_ref() == Some(&next) => {
                    return Err(malformed(
                        url.as_str(),
                        format!("the cursor stays at {next:?}"),
                    ));
                }
                Some(next) => cursor = Some(next),
            }
        }
        Err(malformed(
            self.base.as_str(),
            format!("more than {MAX_PAGES} pages"),
        ))
    }
}

impl Cryptowatch {
    /// A page's batch, and the cursor of the next page where there is one.
    fn parse(
        &self,
        url: &str,
        slot: Minute,
        answer: &HttpResponse,
    ) -> Result<(Batch, Option<String>), FeedError> {
        let page: Page<'_> =
            serde_json::from_str(&answer.body).map_err(|error| malformed(url, error))?;
        if let Some(message) = page.error {
            return Err(refused(url, &message));
        }
        let entries = page
            .result
            .ok_or_else(|| malformed(url, "no field `result`"))?;
        let mut batch = Batch::default();
        for (key, value) in &entries.0 {
            self.take(&mut batch, slot, key, decimal_text(value));
        }
        let next = match page.cursor {
            Some(Cursor {
                last,
                has_more: true,
            }) => Some(last.ok_or_else(|| {
                malformed(url, "cursor.last: expected a cursor, since hasMore is true")
            })?),
            _ => None,
        };
        Ok((batch, next))
    }
}

fn refused(url: &str, message: &str) -> FeedError {
    let (url, message) = (url.to_owned(), truncate_message(message));
    if message.to_lowercase().contains("allowance") {
        return FeedError::Throttled {
            url,
            pause: ALLOWANCE_PAUSE,
            message,
        };
    }
    FeedError::Status {
        url,
        status: 200,
        message,
    }
}
