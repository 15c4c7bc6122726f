//! Protocol of an exchange's history: what to request, and how to read the answer.
//!
//! An implementation is a table and a parser: it holds no state and touches no network. Requests,
//! their pace and pages are in `feed.rs`, checks of what came in `checks.rs`.

use std::borrow::Cow;
use std::time::Duration;

use marketlake_model::{Millis, Minute};

use crate::poll::api_error::ReadApiError;
use crate::stream::{Listings, StreamProtocol};

/// Limits of an exchange's history, from its documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Minutes that one request covers.
    pub max_rows: usize,
    /// Time between the starts of two requests.
    pub request_interval: Duration,
    /// Requests that are under way at the same time.
    pub concurrency: usize,
    /// Age of the oldest minute that the exchange still has, in minutes, if it is bounded.
    pub max_age_minutes: Option<i64>,
    /// Whether a minute without a trade has no candle.
    pub omits_quiet_minutes: bool,
}

/// A candle of one minute. Numbers are the exchange's own decimal texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HistoryCandle<'a> {
    /// Start of the minute, as the exchange says it.
    pub(crate) start: Millis,
    /// Last price.
    pub(crate) close: Cow<'a, str>,
    /// Highest price.
    pub(crate) high: Cow<'a, str>,
    /// Lowest price.
    pub(crate) low: Cow<'a, str>,
    /// Traded amount, in the base currency.
    pub(crate) volume: Cow<'a, str>,
    /// Number of trades, where the exchange counts them.
    pub(crate) trades: Option<u64>,
}

/// History of one exchange.
pub(crate) trait HistoryProtocol: Send + Sync {
    /// Stream of the same exchange: of its market, with the same list of pairs.
    fn stream(&self) -> &'static dyn StreamProtocol;

    /// Limits.
    fn limits(&self) -> HistoryLimits;

    /// Parses the list of pairs, with symbols as [`Self::candles_path`] needs them: those of the
    /// stream, unless REST spells them in another way.
    ///
    /// # Errors
    /// A text that says what is wrong with the whole answer.
    fn parse_pairs(&self, body: &str) -> Result<Listings, String> {
        self.stream().parse_listings(body)
    }

    /// Path and query of a symbol's candles from one minute to another, both included: at most
    /// [`HistoryLimits::max_rows`].
    fn candles_path(&self, symbol: &str, from: Minute, to: Minute) -> String;

    /// Whether an answer holds all candles since the first requested minute, and thus later ones
    /// than were requested.
    fn returns_later_minutes(&self) -> bool {
        false
    }

    /// Parses the candles of a symbol, in any order.
    ///
    /// # Errors
    /// A text that says that they are of another pair, where the answer names it, or that names
    /// the row and the field that do not parse.
    fn parse_candles<'a>(
        &self,
        symbol: &str,
        body: &'a str,
    ) -> Result<Vec<HistoryCandle<'a>>, String>;

    /// Reader of the errors that the exchange reports in a body.
    fn api_error(&self) -> ReadApiError;
}
