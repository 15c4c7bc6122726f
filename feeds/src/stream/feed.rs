//! Stream feed: connects to an exchange in the background and returns minutes that are over.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use marketlake_common::redact_url;
use marketlake_model::Minute;
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::listings::ListingsFollower;
use super::minute_book::{HELD_MINUTES, MinuteBook};
use super::options::{Clock, StreamOptions, system_clock};
use super::protocol::StreamProtocol;
use super::shared::Shared;
use super::supervise::{RESTART_PAUSE, supervise};
use crate::batch::Batch;
use crate::error::FeedError;
use crate::feed::{Coverage, Feed};
use crate::poll::client::{ExchangeClient, malformed, user_agent};
use crate::poll::credentials::Credentials;

/// Minutes that can be requested after they are over.
const RECENT_MINUTES: u16 = 10;
/// Time between two looks at the sessions while waiting.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

const _: () = assert!((RECENT_MINUTES as i64) < HELD_MINUTES, "it must hold them");

/// The feed. Its connections end when it is dropped.
pub struct StreamFeed {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl StreamFeed {
    /// Starts to connect, in the background, to the exchange at `base_url` and `stream_url`, where
    /// the options name no other.
    ///
    /// # Errors
    /// Fails if an address or the contact cannot be used. An exchange that cannot be reached is no
    /// error here: the feed tries until it is dropped.
    pub fn start(
        protocol: &'static dyn StreamProtocol,
        base_url: &str,
        options: StreamOptions,
    ) -> Result<Arc<Self>, FeedError> {
        let parsed = |text: &str| Url::parse(text).map_err(|error| malformed(text, error));
        let mut base_url = match options.base_url {
            Some(url) => url,
            None => parsed(base_url)?,
        };
        let stream_url = match options.stream_url {
            Some(url) => url,
            None => parsed(protocol.default_stream_url())?,
        };
        let credentials = Credentials::take_from(&mut base_url);
        let agent = user_agent(options.contact.as_deref());
        let user_agent = HeaderValue::from_str(&agent)
            .map_err(|_| malformed(base_url.as_str(), "the contact is no header value"))?;
        let client = ExchangeClient::new(credentials, None, options.contact.as_deref())?
            .with_pause(options.pause);
        let clock: Clock = options.clock.unwrap_or_else(|| Arc::new(system_clock));
        let shared = Arc::new_cyclic(|this: &Weak<Shared>| Shared {
            protocol,
            stream_url,
            user_agent,
            limits: options.limits,
            timings: options.timings,
            clock,
            prices: options.prices,
            book: Mutex::new(MinuteBook::new(protocol.market())),
            connections: AtomicI64::new(0),
            last_error: Mutex::new(None),
            this: Weak::clone(this),
        });
        let stop = CancellationToken::new();
        let follower = Arc::new(ListingsFollower {
            shared: Arc::clone(&shared),
            client,
            base_url,
            stop: stop.clone(),
        });
        let run = move || Arc::clone(&follower).run();
        tokio::spawn(supervise(
            protocol.market(),
            stop.clone(),
            RESTART_PAUSE,
            run,
        ));
        Ok(Arc::new(Self {
            shared,
            _stop: stop.drop_guard(),
        }))
    }

    /// Waits until all connections have received what follows a minute, but not for ever: one that
    /// stays silent costs its own pairs only.
    async fn wait_until_settled(&self, slot: Minute) {
        let deadline = Instant::now() + self.shared.timings.max_wait;
        while !self.shared.book.lock().is_settled(slot) && Instant::now() < deadline {
            sleep(POLL_INTERVAL).await;
        }
    }

    fn url(&self) -> String {
        redact_url(self.shared.stream_url.as_str())
    }
}

#[async_trait]
impl Feed for StreamFeed {
    fn name(&self) -> &str {
        self.shared.name()
    }

    fn coverage(&self) -> Coverage {
        Coverage::Recent {
            minutes: RECENT_MINUTES,
        }
    }

    /// The samples of all pairs whose minute is whole.
    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        self.shared.report();
        self.wait_until_settled(slot).await;
        let batch = self.shared.book.lock().batch(slot);
        if batch.samples.is_empty() {
            let last = self.shared.last_error.lock().clone();
            let reason = last.map_or_else(String::new, |error| format!("; last error: {error}"));
            return Err(FeedError::NotCovered {
                url: self.url(),
                reason: format!("no pair was connected during all of the minute {slot}{reason}"),
            });
        }
        *self.shared.last_error.lock() = None;
        Ok(batch)
    }
}
