//! Shared state of a feed's connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};

use marketlake_common::{SecretUrl, scrub};
use marketlake_model::{Millis, PRICE};
use metrics::{counter, gauge};
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use url::Url;

use super::minute_book::{EventOutcome, MinuteBook};
use super::options::{Clock, StreamTimings};
use super::protocol::{StreamEvent, StreamLimits, StreamProtocol};
use crate::batch::Batch;
use crate::feed::Feed;

/// Characters of an exchange's text that are logged.
const MAX_TEXT_CHARS: usize = 300;

/// State that the connections of a feed share.
pub(super) struct Shared {
    pub(super) protocol: &'static dyn StreamProtocol,
    pub(super) stream_url: Url,
    pub(super) user_agent: HeaderValue,
    pub(super) limits: Option<StreamLimits>,
    pub(super) timings: StreamTimings,
    pub(super) clock: Clock,
    pub(super) prices: Option<Arc<dyn Feed>>,
    pub(super) book: Mutex<MinuteBook>,
    /// Connections that are live.
    pub(super) connections: AtomicI64,
    /// Error of the last connection or list of pairs that failed.
    pub(super) last_error: Mutex<Option<String>>,
    pub(super) this: Weak<Self>,
}

impl Shared {
    /// Name of the feed.
    pub(super) fn name(&self) -> &'static str {
        self.protocol.market()
    }

    /// Limits of a connection.
    pub(super) fn limits(&self) -> StreamLimits {
        self.limits.unwrap_or_else(|| self.protocol.limits())
    }

    /// Time of an arrival.
    pub(super) fn now(&self) -> Millis {
        (self.clock)()
    }

    /// Counts a message of a session that is rejected: what it held is lost.
    pub(super) fn reject(&self, session: u64, entry: &str, reason: &str) {
        let mut book = self.book.lock();
        book.interrupt(session);
        book.reject(entry, reason);
        self.count(EventOutcome::Rejected);
    }

    /// An exchange's text without the secrets of the stream's address, of a bounded length.
    pub(super) fn clean(&self, text: &str) -> String {
        let address = SecretUrl::from(self.stream_url.to_string());
        let text: String = text.chars().take(MAX_TEXT_CHARS).collect();
        scrub(&text, address.secrets())
    }

    /// Counts an event.
    pub(super) fn count(&self, outcome: EventOutcome) {
        let outcome = match outcome {
            EventOutcome::Accepted => "accepted",
            EventOutcome::Duplicate => "duplicate",
            EventOutcome::Late => "late",
            EventOutcome::Rejected => "rejected",
        };
        counter!("marketlake_stream_events_total", "feed" => self.name(), "outcome" => outcome)
            .increment(1);
    }

    /// Counts a message of a type that is not used.
    pub(super) fn count_other(&self, kind: &str) {
        tracing::trace!(feed = self.name(), kind, "message ignored");
        counter!("marketlake_stream_events_total", "feed" => self.name(), "outcome" => "ignored")
            .increment(1);
    }

    /// One connection more, or one less, is live.
    pub(super) fn connected(&self, change: i64) {
        self.connections.fetch_add(change, Ordering::Relaxed);
        self.report();
    }

    /// Reports the connections that are live. Each minute too: a feed may start before the
    /// recorder of metrics.
    pub(super) fn report(&self) {
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        let live = self.connections.load(Ordering::Relaxed) as f64;
        gauge!("marketlake_stream_connections", "feed" => self.name()).set(live);
    }

    /// Remembers an error for whoever requests a minute.
    pub(super) fn fail(&self, error: &str) {
        *self.last_error.lock() = Some(error.to_owned());
    }

    /// Fetches the prices of pairs that a session has subscribed and whose price is not known: a
    /// pair that is not traded sends none. In the background.
    pub(super) fn fetch_prices(&self, session: u64) {
        let (interruptions, wanted) = {
            let book = self.book.lock();
            (book.interruptions(session), book.without_price(session))
        };
        if wanted.is_empty() {
            return;
        }
        let (Some(prices), Some(shared)) = (self.prices.clone(), self.this.upgrade()) else {
            return;
        };
        let minute = self.now().minute();
        tokio::spawn(async move {
            match prices.samples(minute).await {
                Ok(batch) => shared.take_prices(session, interruptions, wanted, &batch),
                Err(error) => {
                    tracing::warn!(feed = shared.name(), %error, "no prices of quiet pairs");
                }
            }
        });
    }

    /// Takes prices in for the pairs for which they were requested, if nothing was lost meanwhile.
    fn take_prices(
        &self,
        session: u64,
        interruptions: u64,
        wanted: Vec<(String, String)>,
        batch: &Batch,
    ) {
        let samples = batch.samples.iter();
        let prices: HashMap<&str, String> = samples
            .filter(|sample| sample.metric.measure() == PRICE)
            .map(|sample| (sample.metric.pair(), sample.value.to_string()))
            .collect();
        let mut book = self.book.lock();
        let arrival = self.now();
        if book.interruptions(session) != interruptions {
            return;
        }
        for (symbol, pair) in wanted {
            if let Some(price) = prices.get(pair.as_str()) {
                let (symbol, price) = (symbol.into(), price.into());
                book.take(session, &StreamEvent::LastPrice { symbol, price }, arrival);
            }
        }
    }
}
