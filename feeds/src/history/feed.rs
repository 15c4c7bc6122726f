//! Feed of an exchange's history: requests in pages, at the pace that the exchange allows.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use marketlake_model::{HIGH, LOW, Metric, Minute, PRICE, Sample, TRADES, VOLUME};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::checks::{Candle, Page, PairMetrics, Requested};
use super::protocol::{HistoryLimits, HistoryProtocol};
use crate::error::FeedError;
use crate::poll::client::{ExchangeClient, HttpResponse, SharedPause, malformed};
use crate::poll::credentials::Credentials;
use crate::stream::{Listing, Listings};

/// Minutes behind the requested ones up to which rows are believed of an exchange that sends all.
const MAX_LATER_MINUTES: i64 = 366 * 1_440;

/// History of an exchange.
///
/// Requests of all callers keep the exchange's interval, and the pauses that it requests.
pub struct HistoryFeed {
    protocol: &'static dyn HistoryProtocol,
    client: ExchangeClient,
    base_url: String,
    /// Earliest start of the next request.
    next_start: Mutex<Instant>,
}

impl HistoryFeed {
    /// The history at a base URL, with the operator's contact in the header `User-Agent`. The
    /// default timeout of one request is that of the client.
    ///
    /// # Errors
    /// Fails if no header may hold the contact.
    pub(crate) fn new(
        protocol: &'static dyn HistoryProtocol,
        mut base_url: Url,
        timeout: Option<Duration>,
        contact: Option<&str>,
    ) -> Result<Self, FeedError> {
        let credentials = Credentials::take_from(&mut base_url);
        let client = ExchangeClient::new(credentials, timeout, contact)?;
        Ok(Self {
            protocol,
            client: client.with_api_errors(protocol.api_error()),
            base_url: base_url.as_str().trim_end_matches('/').to_owned(),
            next_start: Mutex::new(Instant::now()),
        })
    }

    /// With a pause that other clients of the exchange share.
    pub(crate) fn with_pause(mut self, pause: SharedPause) -> Self {
        self.client = self.client.with_pause(pause);
        self
    }

    /// Market of its metrics: `binance`.
    #[must_use]
    pub fn market(&self) -> &'static str {
        self.protocol.stream().market()
    }

    /// Limits of the exchange.
    #[must_use]
    pub fn limits(&self) -> HistoryLimits {
        self.protocol.limits()
    }

    /// Pairs that can be traded now, by symbol. Of symbols with one pair's name the first in the
    /// exchange's order is listed, as for a stream.
    ///
    /// # Errors
    /// A [`FeedError`]; after [`FeedError::Throttled`] retry once the pause is over.
    pub async fn pairs(&self) -> Result<Vec<Listing>, FeedError> {
        let url = self.url(self.protocol.stream().listings_path());
        self.wait_for_turn().await;
        let parse = |answer: &HttpResponse| {
            let parsed = self.protocol.parse_pairs(&answer.body);
            parsed.map_err(|reason| malformed(&url, reason))
        };
        let Listings {
            tradable,
            rejected_count,
            rejected,
        } = self.client.get(&url, parse).await?;
        let first = rejected.first();
        let first = first.map(|first| format!("{}: {}", first.entry, first.reason));
        let listed = tradable.len();
        let mut names = HashSet::new();
        let mut pairs = tradable;
        pairs.retain(|listing| {
            let price = Metric::new(self.market(), &listing.pair, PRICE);
            price.is_ok_and(|price| names.insert(price))
        });
        pairs.sort_unstable_by(|one, other| one.symbol.cmp(&other.symbol));
        if pairs.is_empty() {
            return Err(FeedError::Empty {
                url,
                rejected: rejected_count,
                first,
            });
        }
        if rejected_count > 0 || pairs.len() < listed {
            tracing::warn!(
                market = self.market(),
                rejected = rejected_count,
                first,
                unusable_names = listed - pairs.len(),
                "entries of the list of pairs are rejected"
            );
        }
        Ok(pairs)
    }

    /// Samples of a pair's minutes from one to another, both included, by minute and measure:
    /// closing price, volume, high, low and, where the exchange counts them, trades.
    ///
    /// A minute without a trade has the price of the one before and no volume. Where the exchange
    /// leaves such minutes out, they follow a candle of the span or of some hours before it.
    /// Minutes that the exchange does not have are missing.
    ///
    /// # Errors
    /// A [`FeedError`]: [`FeedError::UnknownSymbol`] where the exchange has no such symbol; after
    /// [`FeedError::Throttled`] retry once the pause is over.
    pub async fn minutes(
        &self,
        listing: &Listing,
        from: Minute,
        to: Minute,
    ) -> Result<Vec<Sample>, FeedError> {
        let metrics = self.metrics(&listing.pair)?;
        let mut samples = Vec::new();
        let (mut next, mut previous): (Minute, Option<Candle>) = (from, None);
        while next <= to {
            let requested = self.request(next, to, previous.is_some());
            let mut page = self.page(&listing.symbol, requested).await?;
            if self.limits().omits_quiet_minutes {
                previous = page.last_before(next).or(previous);
                page.add_quiet(previous, next, requested.to);
                previous = page.last_before(requested.to.plus(1)).or(previous);
            }
            let wanted = page.candles.range(next..=requested.to);
            samples.extend(wanted.flat_map(|(minute, candle)| metrics.samples(*minute, candle)));
            if requested.to == to {
                break;
            }
            next = requested.to.plus(1);
        }
        Ok(samples)
    }

    fn metrics(&self, pair: &str) -> Result<PairMetrics, FeedError> {
        let metric = |measure| {
            let metric = Metric::new(self.market(), pair, measure);
            metric.map_err(|error| malformed(&self.base_url, error))
        };
        Ok(PairMetrics {
            high: metric(HIGH)?,
            low: metric(LOW)?,
            price: metric(PRICE)?,
            trades: metric(TRADES)?,
            volume: metric(VOLUME)?,
        })
    }

    /// Minutes of the next request. Where quiet minutes are left out and no candle is known yet,
    /// at least half of them lie before the first wanted one, so that there is a price for it.
    fn request(&self, next: Minute, to: Minute, has_previous: bool) -> Requested {
        let limits = self.limits();
        let max = i64::try_from(limits.max_rows).unwrap_or(i64::MAX).max(1);
        let looks_back = limits.omits_quiet_minutes && !has_previous;
        let size = if looks_back { (max / 2).max(1) } else { max };
        let last = to.min(next.plus(size - 1));
        let from = if looks_back { last.plus(1 - max) } else { next };
        Requested {
            from,
            to: last,
            oldest: match limits.omits_quiet_minutes {
                true => from.plus(-max),
                false => from,
            },
            newest: match self.protocol.returns_later_minutes() {
                true => last.plus(MAX_LATER_MINUTES),
                false => last,
            },
        }
    }

    async fn page(&self, symbol: &str, requested: Requested) -> Result<Page, FeedError> {
        let Requested { from, to, .. } = requested;
        let url = self.url(&self.protocol.candles_path(symbol, from, to));
        self.wait_for_turn().await;
        let parse = |answer: &HttpResponse| {
            let rows = self.protocol.parse_candles(symbol, &answer.body);
            let page = rows.and_then(|rows| requested.check(&rows));
            page.map_err(|reason| malformed(&url, reason))
        };
        let page = self.client.get(&url, parse).await?;
        if let Some(first) = &page.first_outside {
            tracing::warn!(
                market = self.market(),
                symbol,
                rows = page.outside_count,
                first,
                "rows outside the requested minutes are ignored"
            );
        }
        Ok(page)
    }

    /// Waits until the exchange's interval since the last request is over.
    async fn wait_for_turn(&self) {
        let mut next_start = self.next_start.lock().await;
        let start = (*next_start).max(Instant::now());
        sleep_until(start).await;
        *next_start = start + self.limits().request_interval;
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }
}

impl fmt::Debug for HistoryFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("HistoryFeed");
        shown.field("market", &self.market());
        shown.field("base_url", &self.base_url);
        shown.finish_non_exhaustive()
    }
}
