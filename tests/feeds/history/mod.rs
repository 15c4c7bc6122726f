//! Histories of exchanges: each serves one generated market on loopback, well and badly.

pub mod cases;
mod conformance;
pub mod exchanges;
pub mod market;
mod recordings;
mod rows;

use std::sync::Arc;

use marketlake_feeds::stream::Listing;
use marketlake_feeds::{Exchange, ExchangeOptions, FeedError, HistoryFeed};
use marketlake_model::{Minute, Sample};

use self::cases::{CandleRequest, RestCase, Row};
use self::exchanges::CASES;
use self::market::{Pair, listed, quiet_start};
use super::{TIMEOUT, every_feed};
use crate::support::exchange::Answer;
use crate::support::rest_exchange::{RestExchange, RestRequest};

/// Minutes of most requests.
const MINUTES: i64 = 60;

/// Runs a check against the history of every exchange.
async fn conforms(fault: &str, check: impl AsyncFn(&'static RestCase)) {
    let mut checks = Vec::new();
    for case in &CASES {
        checks.push((case.name.to_owned(), check(case)));
    }
    every_feed(&format!("history, {fault}"), checks).await;
}

/// First and last minute of most requests.
pub fn span() -> (Minute, Minute) {
    let from = quiet_start();
    (from, from.plus(MINUTES - 1))
}

/// Answer to a request: the pairs, or candles after a change of their rows.
pub fn respond(
    case: &RestCase,
    request: &RestRequest,
    change: impl Fn(&CandleRequest, Vec<Row>) -> Vec<Row>,
) -> Answer {
    if request.path == case.pairs_path {
        return Answer::ok(case.pairs());
    }
    let Some(candles) = (case.request)(request) else {
        return Answer::status(400, format!("unexpected: {request:?}"));
    };
    if case.pair(&candles.symbol).is_none() {
        let (status, body) = case.unknown_symbol;
        return Answer::status(status, body);
    }
    let rows = change(&candles, case.rows(&candles));
    Answer::ok(case.body(&candles.symbol, &rows))
}

/// The history of an exchange at a URL.
pub fn feed(name: &str, url: &str, contact: Option<&str>) -> Arc<HistoryFeed> {
    let options = ExchangeOptions {
        base_url: Some(url.parse().unwrap()),
        contact: contact.map(str::to_owned),
        timeout: TIMEOUT,
        ..ExchangeOptions::default()
    };
    let exchange = Exchange::by_name(name).unwrap();
    exchange.history(&options).unwrap().unwrap()
}

/// Listing of a pair.
pub fn listing(case: &RestCase, pair: &Pair) -> Listing {
    Listing {
        symbol: (case.symbol)(pair.base, pair.quote),
        pair: pair.name(),
    }
}

/// A running exchange and the feed of its history.
struct Rig {
    case: &'static RestCase,
    exchange: RestExchange,
    feed: Arc<HistoryFeed>,
}

impl Rig {
    /// An exchange that answers well.
    async fn start(case: &'static RestCase) -> Self {
        Self::changed(case, |_, rows| rows).await
    }

    /// An exchange that changes the rows of its answers.
    async fn changed(
        case: &'static RestCase,
        change: impl Fn(&CandleRequest, Vec<Row>) -> Vec<Row> + Send + Sync + 'static,
    ) -> Self {
        Self::answering(case, move |request| respond(case, request, &change)).await
    }

    async fn answering(
        case: &'static RestCase,
        answer: impl Fn(&RestRequest) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let exchange = RestExchange::start(move |request, _| answer(request)).await;
        let feed = feed(case.name, &exchange.url, None);
        Self {
            case,
            exchange,
            feed,
        }
    }

    /// Samples of a pair's minutes, both included.
    async fn minutes(
        &self,
        pair: &Pair,
        (from, to): (Minute, Minute),
    ) -> Result<Vec<Sample>, FeedError> {
        let listing = listing(self.case, pair);
        self.feed.minutes(&listing, from, to).await
    }

    /// Samples of the first pair's usual minutes.
    async fn usual(&self) -> Result<Vec<Sample>, FeedError> {
        self.minutes(&market::PAIRS[0], span()).await
    }

    /// Checks that the first pair's usual minutes are those of the market.
    async fn is_exact(&self) {
        let samples = self.usual().await.unwrap();
        let expected = self.expected(&market::PAIRS[0], span());
        assert_eq!(listed(&samples), expected, "{}", self.case.name);
    }

    /// Samples of the market, as [`listed`].
    fn expected(&self, pair: &Pair, (from, to): (Minute, Minute)) -> Vec<String> {
        let Self { case, .. } = self;
        listed(&pair.samples(case.name, from, to, case.has_trades))
    }

    /// Checks that the first pair's usual minutes are refused as malformed, by an error that holds
    /// some texts.
    async fn is_malformed(&self, parts: &[&str]) {
        let name = self.case.name;
        let error = self.usual().await.expect_err(name);
        let text = error.to_string();
        let is_it = matches!(error, FeedError::Malformed { .. });
        assert!(is_it, "{name}: {text}");
        for part in parts {
            assert!(text.contains(part), "{name}: no {part:?} in {text}");
        }
    }
}
