//! Protocol of an exchange's tickers: the request that returns those of all pairs, and its parser.
//!
//! An implementation is a table and a parser: it holds no state and touches no network. Requests,
//! pauses and samples are in `feed.rs`.

use std::borrow::Cow;
use std::collections::HashMap;

use marketlake_common::excerpt;
use marketlake_model::Rejected;
use serde_json::value::RawValue;

use super::api_error::ReadApiError;

/// Pairs of an exchange; those beyond are rejected.
pub(super) const MAX_PAIRS: usize = 20_000;
/// Rejected entries that are kept by name.
const MAX_NAMED_REJECTIONS: usize = 20;

/// Last price and volume of a symbol. Numbers are the exchange's own decimal texts; one that it
/// does not have, as before the first trade, is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticker<'a> {
    /// Symbol as the exchange spells it.
    pub(crate) symbol: Cow<'a, str>,
    /// Pair of its metrics; `None` where the list of pairs has it.
    pub(crate) pair: Option<String>,
    /// Price of the last trade.
    pub(crate) price: &'a str,
    /// Amount traded in the last 24 hours, in the base currency.
    pub(crate) volume24h: &'a str,
}

/// Tickers of an answer, and its entries that are none.
#[derive(Debug, Default)]
pub(crate) struct Tickers<'a> {
    /// Tickers of pairs of the spot market.
    pub(crate) found: Vec<Ticker<'a>>,
    /// Number of entries that do not parse, or are too many.
    pub(crate) rejected_count: u64,
    /// The first of them, each with the reason.
    pub(crate) rejected: Vec<Rejected>,
}

impl<'a> Tickers<'a> {
    /// Tickers of the entries of an array.
    pub(super) fn of(
        entries: Vec<&'a RawValue>,
        parse: fn(&'a str) -> Result<Option<Ticker<'a>>, String>,
    ) -> Self {
        let mut tickers = Self::default();
        for entry in entries {
            tickers.add(entry.get(), parse(entry.get()));
        }
        tickers
    }

    /// Adds an entry: a ticker, nothing if it is of another market, or a rejection.
    pub(super) fn add(&mut self, entry: &str, ticker: Result<Option<Ticker<'a>>, String>) {
        match ticker {
            Ok(None) => (),
            Ok(Some(ticker)) if self.found.len() < MAX_PAIRS => self.found.push(ticker),
            Ok(Some(_)) => self.reject(entry, format!("expected at most {MAX_PAIRS} pairs")),
            Err(reason) => self.reject(entry, reason),
        }
    }

    fn reject(&mut self, entry: &str, reason: String) {
        self.rejected_count = self.rejected_count.saturating_add(1);
        if self.rejected.len() < MAX_NAMED_REJECTIONS {
            self.rejected.push(Rejected {
                entry: excerpt(entry).into_owned(),
                reason,
            });
        }
    }
}

/// Pairs by the symbols of tickers: `None` for one that cannot be traded now, and the reason for
/// one that does not parse.
pub(crate) type PairNames = HashMap<String, Result<Option<String>, String>>;

/// List of pairs of an exchange that spells symbols in another way than base and quote.
pub(crate) struct PairList {
    /// Path and query, below the base URL.
    pub(crate) path: &'static str,
    /// Parses the list. The error says what is wrong with the whole answer.
    pub(crate) parse: fn(&str) -> Result<PairNames, String>,
}

/// Protocol of one exchange.
pub(crate) trait PollProtocol: Send + Sync {
    /// Market of its metrics: `binance`.
    fn market(&self) -> &'static str;

    /// Base URL, where it is another than that of the exchange's other requests.
    fn default_url(&self) -> Option<&'static str> {
        None
    }

    /// Path and query of the tickers of all pairs, below the base URL.
    fn path(&self) -> &'static str;

    /// Parses the tickers.
    ///
    /// # Errors
    /// A text that says what is wrong with the whole answer.
    fn parse<'a>(&self, body: &'a str) -> Result<Tickers<'a>, String>;

    /// Reader of the errors that the exchange reports in a body.
    fn api_errors(&self) -> ReadApiError;

    /// List of pairs, where the tickers alone do not name base and quote.
    fn pair_list(&self) -> Option<PairList> {
        None
    }
}
