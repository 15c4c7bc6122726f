//! Polls of exchanges: each serves the tickers of one generated market on loopback.

pub mod cases;
mod conformance;
mod recordings;

use std::sync::Arc;

use marketlake_feeds::{Batch, Exchange, ExchangeOptions, Feed, FeedError};

use self::cases::{CASES, PollCase, TickerRow};
use super::history::market::{PAIRS, Pair};
use super::{TIMEOUT, every_feed};
use crate::support::exchange::Answer;
use crate::support::rest_exchange::{RestExchange, RestRequest};
use crate::support::samples::start;

/// Runs a check against the poll of every exchange.
async fn conforms(fault: &str, check: impl AsyncFn(&'static PollCase)) {
    let mut checks = Vec::new();
    for case in &CASES {
        checks.push((case.name.to_owned(), check(case)));
    }
    every_feed(&format!("poll, {fault}"), checks).await;
}

/// Ticker of a pair in the first minute of the market.
fn ticker(pair: &Pair) -> TickerRow {
    let price = pair.candle(start()).close;
    TickerRow::new(pair, &price.to_string(), &pair.volume_24h().to_string())
}

/// Answer to a request: the pairs, or tickers after a change.
pub fn respond(
    case: &PollCase,
    request: &RestRequest,
    change: impl Fn(Vec<TickerRow>) -> Vec<TickerRow>,
) -> Answer {
    if request.path == case.rest().pairs_path {
        return Answer::ok(case.rest().pairs());
    }
    if request.path != case.path {
        return Answer::status(400, format!("unexpected: {request:?}"));
    }
    let tickers = change(PAIRS.iter().map(ticker).collect());
    Answer::ok(case.body(&tickers))
}

/// The feed that polls an exchange at a URL.
pub fn feed(name: &str, url: &str, contact: Option<&str>) -> Arc<dyn Feed> {
    let options = ExchangeOptions {
        base_url: Some(url.parse().unwrap()),
        contact: contact.map(str::to_owned),
        timeout: TIMEOUT,
        ..ExchangeOptions::default()
    };
    Exchange::by_name(name).unwrap().poll(&options).unwrap()
}

/// A running exchange and the feed that polls it.
struct Rig {
    case: &'static PollCase,
    exchange: RestExchange,
    feed: Arc<dyn Feed>,
}

impl Rig {
    /// An exchange that answers well.
    async fn start(case: &'static PollCase) -> Self {
        Self::changed(case, |tickers| tickers).await
    }

    /// An exchange that changes its tickers.
    async fn changed(
        case: &'static PollCase,
        change: impl Fn(Vec<TickerRow>) -> Vec<TickerRow> + Send + Sync + 'static,
    ) -> Self {
        Self::answering(case, move |request| respond(case, request, &change)).await
    }

    /// An exchange whose tickers are followed by an entry.
    async fn with_entry(case: &'static PollCase, entry: &'static str) -> Self {
        Self::answering(case, move |request| match request.path == case.path {
            true => {
                let mut entries: Vec<String> = PAIRS
                    .iter()
                    .map(|pair| (case.ticker)(&ticker(pair)))
                    .collect();
                entries.push(entry.to_owned());
                Answer::ok((case.answer)(&entries.join(",")))
            }
            false => respond(case, request, |tickers| tickers),
        })
        .await
    }

    async fn answering(
        case: &'static PollCase,
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

    async fn batch(&self) -> Result<Batch, FeedError> {
        self.feed.samples(start()).await
    }

    /// Samples of some pairs, as `id=value`, sorted.
    fn expected(&self, pairs: &[Pair]) -> Vec<String> {
        let samples = |pair: &Pair| {
            let name = format!("{}:{}", self.case.name, pair.name());
            let price = format!("{name}={}", pair.candle(start()).close);
            [price, format!("{name}:volume24h={}", pair.volume_24h())]
        };
        let mut expected: Vec<String> = pairs.iter().flat_map(samples).collect();
        expected.sort();
        expected
    }
}
