//! Options of a stream feed.

use std::sync::Arc;
use std::time::Duration;

use marketlake_model::Millis;
use url::Url;

use super::protocol::StreamLimits;
use crate::feed::Feed;
use crate::poll::client::SharedPause;

/// Clock by which arrivals are stamped.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Deadlines of connections and minutes.
#[derive(Clone, Copy, Debug)]
pub struct StreamTimings {
    /// Time for a connection with its handshakes, and for one write.
    pub connect_timeout: Duration,
    /// Time after the last request within which all symbols must be acknowledged.
    pub subscribe_timeout: Duration,
    /// Longest pause after the first failure of a connection; it doubles with each further one.
    pub initial_backoff: Duration,
    /// Longest pause of all.
    pub max_backoff: Duration,
    /// Time without a trade or candle after which a connection is replaced, whatever else comes.
    pub data_timeout: Duration,
    /// Time for which a connection is read on after the next one is live: the next one's
    /// subscriptions count from some seconds after their first event.
    pub handover: Duration,
    /// Time between two attempts for what an exchange refused or did not answer: symbols, prices.
    pub retry_interval: Duration,
    /// Longest time for which a request waits for events that follow the minute.
    pub max_wait: Duration,
    /// Time between two readings of the list of pairs.
    pub listings_interval: Duration,
}

impl Default for StreamTimings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            subscribe_timeout: Duration::from_secs(15),
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            data_timeout: Duration::from_secs(120),
            handover: Duration::from_secs(10),
            retry_interval: Duration::from_secs(300),
            max_wait: Duration::from_secs(15),
            listings_interval: Duration::from_secs(3_600),
        }
    }
}

/// Options of a stream feed; the defaults are those of the exchange.
#[derive(Clone, Default)]
pub struct StreamOptions {
    /// Base URL of the REST API, from which the list of pairs is read.
    pub base_url: Option<Url>,
    /// Address of the stream.
    pub stream_url: Option<Url>,
    /// Contact in the User-Agent of requests.
    pub contact: Option<String>,
    /// Pause that other requests to the exchange share.
    pub pause: SharedPause,
    /// Poll feed of the same exchange: prices of pairs that are not traded after they were
    /// subscribed.
    pub prices: Option<Arc<dyn Feed>>,
    /// Limits of a connection.
    pub limits: Option<StreamLimits>,
    /// Deadlines.
    pub timings: StreamTimings,
    /// Clock by which arrivals are stamped; the machine's by default.
    pub clock: Option<Clock>,
}

/// The machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "an event is stamped where it arrives; what follows takes the stamp"
)]
pub(super) fn system_clock() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
