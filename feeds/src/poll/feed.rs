//! Poll feed: requests an exchange's tickers once a slot.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use marketlake_model::{Exact, Metric, Minute, PRICE, ParseExactError, Sample, VOLUME_24H};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::client::{ExchangeClient, HttpResponse, SharedPause, malformed};
use super::credentials::Credentials;
use super::protocol::{PairList, PairNames, PollProtocol, Ticker, Tickers};
use crate::batch::Batch;
use crate::error::FeedError;
use crate::feed::{Coverage, Feed};

/// Time between two readings of the list of pairs.
const PAIRS_INTERVAL: Duration = Duration::from_secs(3_600);
/// The same after a reading that failed.
const PAIRS_RETRY_INTERVAL: Duration = Duration::from_secs(300);

/// The feed.
pub(crate) struct PollFeed {
    protocol: &'static dyn PollProtocol,
    client: ExchangeClient,
    /// Base URL, without a slash at its end.
    base: String,
    pairs: Mutex<Option<HeldPairs>>,
}

/// The last list of pairs.
struct HeldPairs {
    names: Arc<PairNames>,
    read_again: Instant,
}

impl PollFeed {
    /// The feed at `base`, with the operator's contact in the header `User-Agent`.
    ///
    /// # Errors
    /// Fails if no header may hold the contact.
    pub(crate) fn new(
        protocol: &'static dyn PollProtocol,
        mut base: Url,
        timeout: Option<Duration>,
        contact: Option<&str>,
    ) -> Result<Self, FeedError> {
        let credentials = Credentials::take_from(&mut base);
        let client = ExchangeClient::new(credentials, timeout, contact)?;
        Ok(Self {
            protocol,
            client: client.with_api_errors(protocol.api_errors()),
            base: base.as_str().trim_end_matches('/').to_owned(),
            pairs: Mutex::new(None),
        })
    }

    /// With a pause that other clients of the exchange share.
    pub(crate) fn with_pause(mut self, pause: SharedPause) -> Self {
        self.client = self.client.with_pause(pause);
        self
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The pairs of symbols, of an exchange whose tickers do not name them. A list that cannot be
    /// read again stays in use.
    async fn pairs(&self) -> Result<Arc<PairNames>, FeedError> {
        let Some(list) = self.protocol.pair_list() else {
            return Ok(Arc::default());
        };
        let mut held = self.pairs.lock().await;
        if let Some(pairs) = &*held
            && Instant::now() < pairs.read_again
        {
            return Ok(Arc::clone(&pairs.names));
        }
        let read = self.read_pairs(&list).await;
        let (names, interval) = match (read, held.as_ref()) {
            (Ok(names), _) => (Arc::new(names), PAIRS_INTERVAL),
            (Err(error), Some(pairs)) => {
                let feed = self.protocol.market();
                tracing::warn!(feed, %error, "cannot read the list of pairs, using the last one");
                (Arc::clone(&pairs.names), PAIRS_RETRY_INTERVAL)
            }
            (Err(error), None) => return Err(error),
        };
        *held = Some(HeldPairs {
            names: Arc::clone(&names),
            read_again: Instant::now() + interval,
        });
        Ok(names)
    }

    async fn read_pairs(&self, list: &PairList) -> Result<PairNames, FeedError> {
        let url = self.url(list.path);
        let read = |response: &HttpResponse| {
            let names = (list.parse)(&response.body);
            names.map_err(|reason| malformed(&url, reason))
        };
        let names = self.client.get(&url, read).await?;
        if names.values().any(|name| matches!(name, Ok(Some(_)))) {
            return Ok(names);
        }
        Err(FeedError::Empty {
            url,
            rejected: names.values().filter(|name| name.is_err()).count() as u64,
            first: names.into_values().find_map(Result::err),
        })
    }

    fn batch(&self, slot: Minute, tickers: &Tickers<'_>, names: &PairNames) -> Batch {
        let mut batch = Batch::default();
        for rejected in &tickers.rejected {
            batch.reject(&rejected.entry, &rejected.reason);
        }
        batch.rejected = tickers.rejected_count;
        for ticker in &tickers.found {
            self.take(&mut batch, slot, ticker, names);
        }
        batch
    }

    /// Takes a ticker in: its price, and its volume where the price is kept.
    fn take(&self, batch: &mut Batch, slot: Minute, ticker: &Ticker<'_>, names: &PairNames) {
        let symbol = &*ticker.symbol;
        let pair = match (&ticker.pair, names.get(symbol)) {
            (Some(pair), _) | (None, Some(Ok(Some(pair)))) => pair,
            (None, Some(Ok(None))) => return,
            (None, Some(Err(reason))) => return batch.reject(symbol, reason),
            (None, None) => return batch.reject(symbol, "expected a symbol of the list of pairs"),
        };
        for (measure, text) in [(PRICE, ticker.price), (VOLUME_24H, ticker.volume24h)] {
            if text.is_empty() {
                return;
            }
            let rejected = batch.rejected;
            match self.sample(slot, pair, measure, text) {
                // The pair was never traded.
                Ok(sample) if measure == PRICE && sample.value == Exact::ZERO => return,
                Ok(sample) => batch.keep(symbol, sample),
                Err(reason) => batch.reject(symbol, &reason),
            }
            if batch.rejected > rejected {
                return;
            }
        }
    }

    fn sample(
        &self,
        slot: Minute,
        pair: &str,
        measure: &str,
        text: &str,
    ) -> Result<Sample, String> {
        let metric = Metric::new(self.protocol.market(), pair, measure);
        let metric = metric.map_err(|error| error.to_string())?;
        let wrong = |error: ParseExactError| format!("{measure}: {error}");
        let value: Exact = text.parse().map_err(wrong)?;
        if value.is_negative() {
            return Err(format!("{measure}: expected zero or more, got {value}"));
        }
        Ok(Sample {
            metric,
            ts: slot,
            value,
        })
    }
}

#[async_trait]
impl Feed for PollFeed {
    fn name(&self) -> &str {
        self.protocol.market()
    }

    fn coverage(&self) -> Coverage {
        Coverage::LiveOnly
    }

    /// The last price and the volume of 24 hours of every pair, when they are requested.
    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        let names = self.pairs().await?;
        let url = self.url(self.protocol.path());
        let read = |response: &HttpResponse| {
            let tickers = self.protocol.parse(&response.body);
            let tickers = tickers.map_err(|reason| malformed(&url, reason))?;
            Ok(self.batch(slot, &tickers, &names))
        };
        let batch = self.client.get(&url, read).await?;
        batch.into_non_empty(&url)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use marketlake_model::Millis;

    use super::super::kraken::KrakenPoll;
    use super::*;

    fn ticker<'a>(symbol: &'a str, price: &'a str, volume24h: &'a str) -> Ticker<'a> {
        Ticker {
            symbol: Cow::Borrowed(symbol),
            pair: None,
            price,
            volume24h,
        }
    }

    #[test]
    fn symbols_are_named_by_the_list_of_pairs_and_unlisted_ones_are_rejected() {
        let base = Url::parse("http://127.0.0.1:9/").expect("a URL");
        let feed = PollFeed::new(&KrakenPoll, base, None, None).expect("a feed");
        assert_eq!(feed.url("/path"), "http://127.0.0.1:9/path");
        let names = PairNames::from([
            ("XXBTZUSD".to_owned(), Ok(Some("btcusd".to_owned()))),
            ("NEWUSD".to_owned(), Ok(Some("newusd".to_owned()))),
            ("OLDUSD".to_owned(), Ok(None)),
            ("ODD".to_owned(), Err("expected BASE/QUOTE".to_owned())),
        ]);
        let mut tickers = Tickers {
            found: vec![
                ticker("XXBTZUSD", "105899.40000", "1240.2716"),
                ticker("NEWUSD", "", "0"),
                ticker("NEWUSD", "0.00000", "0"),
                ticker("OLDUSD", "1", "1"),
                ticker("ODD", "1", "1"),
                ticker("NONE", "1", "1"),
            ],
            ..Tickers::default()
        };
        for _ in 0..30 {
            tickers.add("7", Err("expected an object".to_owned()));
        }
        let batch = feed.batch(Millis(0).minute(), &tickers, &names);
        let samples = batch.samples.iter();
        let samples: Vec<_> = samples
            .map(|sample| (sample.metric.id(), sample.value.to_string()))
            .collect();
        let expected = [
            ("kraken:btcusd", "105899.4".to_owned()),
            ("kraken:btcusd:volume24h", "1240.2716".to_owned()),
        ];
        assert_eq!(samples, expected);
        assert_eq!((batch.rejected, batch.first_rejected.len()), (32, 20));
        tickers.rejected.clear();
        let batch = feed.batch(Millis(0).minute(), &tickers, &names);
        let rejected = batch.first_rejected.iter();
        let rejected: Vec<_> = rejected.map(|r| (&*r.entry, &*r.reason)).collect();
        let expected = [
            ("ODD", "expected BASE/QUOTE"),
            ("NONE", "expected a symbol of the list of pairs"),
        ];
        assert_eq!(rejected, expected);
    }
}
