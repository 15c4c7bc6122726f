//! Sends due deliveries in all lanes concurrently.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fail::fail_point;
use futures::FutureExt;
use marketlake_common::{Health, backoff};
use marketlake_entities::Clock;
use marketlake_entities::records::deliveries::{DeliveryKind, DeliveryState, Model};
use marketlake_model::Millis;
use sea_orm::DatabaseConnection;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::lane_health::LaneHealth;
use super::lane_worker::{self, Limits, Shared};
use super::leases::Leases;
use super::outliers::Outliers;
use super::throttle::{Key, Throttles};
use super::{claim, finish, is_due};
use crate::delivery::channels::{Channels, OutgoingMessage, SendOutcome, Transport};
use crate::delivery::mail::writer::Writer;
use crate::error::AlertError;
use crate::queue::lane::{LANES, Lane};
use crate::queue::{EXPIRED_REASON, UNWANTED_REASON_PREFIX};
use crate::token::Keyring;

/// Time that an alert that was fresh when it was evaluated may wait until it is delivered, where
/// nothing else is said.
pub const RETRY_FOR: Duration = Duration::from_secs(6 * 3_600);
/// Time that any other message may wait.
const RETRY_OTHERS_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Attempts to record an outcome beside the first.
const MAX_RECORD_RETRIES: u32 = 4;
const RECORD_BACKOFF: Duration = Duration::from_millis(250);
const MAX_RECORD_BACKOFF: Duration = Duration::from_secs(5);

/// Maximum number of restarts of a lane that panics, within a round.
const MAX_LANE_PANICS: u32 = 5;
const LANE_BACKOFF: Duration = Duration::from_secs(1);
const MAX_LANE_BACKOFF: Duration = Duration::from_secs(16);

/// Concurrency and rate of deliveries, and the time that they are retried.
#[derive(Clone, Copy, Debug)]
pub struct SendRate {
    /// Connections to the mail server at once.
    pub lines: usize,
    /// Mails a second, of this process, on all connections together.
    pub per_second: u32,
    /// Webhooks that are called at once.
    pub webhooks: usize,
    /// Webhooks of one host that are called at once.
    pub webhooks_per_host: usize,
    /// Time that an alert may wait until it is delivered.
    pub retry_for: Duration,
}

impl Default for SendRate {
    fn default() -> Self {
        Self {
            lines: 8,
            per_second: 500,
            webhooks: 32,
            webhooks_per_host: 8,
            retry_for: RETRY_FOR,
        }
    }
}

impl SendRate {
    fn limits(&self, lane: Lane) -> Limits {
        match lane {
            Lane::Mail => Limits {
                connections: self.lines.max(1),
                per_destination: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            },
            Lane::Webhook => Limits {
                connections: self.webhooks.max(1),
                per_destination: self.webhooks_per_host.max(1),
            },
        }
    }
}

/// Counts of deliveries by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendCounts {
    /// Taken by the channel.
    pub sent: u64,
    /// Deliveries to be retried.
    pub retry: u64,
    /// Given up.
    pub dead: u64,
    /// Deliveries that may have arrived.
    pub unknown: u64,
}

impl SendCounts {
    pub(super) fn count(&mut self, state: DeliveryState) -> &'static str {
        let (count, word) = match state {
            DeliveryState::Sent => (&mut self.sent, "sent"),
            DeliveryState::Retry => (&mut self.retry, "retry"),
            DeliveryState::Dead => (&mut self.dead, "dead"),
            _ => (&mut self.unknown, "unknown"),
        };
        *count += 1;
        word
    }

    pub(super) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.retry += other.retry;
        self.dead += other.dead;
        self.unknown += other.unknown;
    }
}

/// Sends deliveries.
#[derive(Clone)]
pub struct Sender {
    pub(super) database: DatabaseConnection,
    pub(super) clock: Clock,
    pub(super) leases: Arc<Leases>,
    pub(super) health: LaneHealth,
    outliers: Arc<Outliers>,
    pub(super) channels: Channels,
    writer: Arc<Writer>,
    pace: SendRate,
}

/// Result of one attempt.
#[derive(Default)]
pub(super) struct Attempt {
    pub(super) counts: SendCounts,
    /// Throttle that the attempt set, if any.
    pub(super) throttled: Option<Key>,
}

impl Sender {
    /// A sender over channels.
    #[must_use]
    pub fn new(
        database: DatabaseConnection,
        channels: Channels,
        writer: Arc<Writer>,
        pace: SendRate,
    ) -> Self {
        Self {
            database,
            clock: Clock::system(),
            leases: Arc::default(),
            health: LaneHealth::default(),
            outliers: Arc::default(),
            channels,
            writer,
            pace,
        }
    }

    /// Goes by this clock, in place of one of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Says here how its lanes do.
    pub fn report_to(&self, health: &Health) {
        self.health.enter(health);
        self.leases.follow();
    }

    /// Whether any delivery waits to be sent at a time; looks at the leases of others, too.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_due(&self, now: Millis) -> Result<bool, AlertError> {
        self.leases.follow();
        self.leases.expire(&self.database, &self.clock).await?;
        let due = is_due(&self.database, now).await?;
        if !due {
            for lane in LANES {
                self.health.is_idle(lane);
            }
        }
        Ok(due)
    }

    /// Sends all that is due until nothing is, until `stop` says so, or for five minutes. A lane
    /// that is idle looks for more for as long as another one is busy.
    ///
    /// # Errors
    /// If the database fails; what was sent and recorded until then stays so.
    pub async fn send_due(
        &self,
        stop: impl Fn() -> bool + Clone + Send + Sync + 'static,
    ) -> Result<SendCounts, AlertError> {
        let outliers = Arc::clone(&self.outliers);
        let throttles = Throttles::load(&self.database, outliers).await?;
        let shared = Shared {
            throttles: Arc::new(throttles),
            busy: Arc::new(AtomicUsize::new(LANES.len())),
            stop: Arc::new(stop),
        };
        let mut lanes = JoinSet::new();
        for lane in LANES {
            lanes.spawn(self.clone().keep_up(lane, shared.clone()));
        }
        let mut counts = SendCounts::default();
        let mut failed = None;
        while let Some(ended) = lanes.join_next().await {
            match ended {
                Ok(Ok(done)) => counts.add(done),
                Ok(Err(error)) => failed = Some(error),
                Err(error) => failed = Some(AlertError::Message(error.to_string())),
            }
        }
        failed.map_or(Ok(counts), Err)
    }

    /// Runs a lane, again where it panics; an error where it does so again and again.
    async fn keep_up(self, lane: Lane, shared: Shared) -> Result<SendCounts, AlertError> {
        let mut panics = 0;
        loop {
            let (limits, per_second) = (self.pace.limits(lane), self.pace.per_second);
            let running = lane_worker::run(self.clone(), lane, limits, per_second, shared.clone());
            let panic = match AssertUnwindSafe(running).catch_unwind().await {
                Ok(done) => {
                    self.health.is_idle(lane);
                    return done;
                }
                Err(panic) => panic,
            };
            let words = self.health.panicked(lane, &*panic);
            panics += 1;
            if panics > MAX_LANE_PANICS || (shared.stop)() {
                let lane = lane.name();
                let words = format!("lane {lane} panicked {panics} times: {words}");
                return Err(AlertError::Lane(words));
            }
            shared.busy.fetch_add(1, Ordering::SeqCst);
            sleep(backoff(LANE_BACKOFF, MAX_LANE_BACKOFF, panics, 1.0)).await;
        }
    }

    /// Tries one delivery.
    pub(super) async fn attempt(
        &self,
        delivery: &Model,
        keys: &Keyring,
        transport: &mut dyn Transport,
        throttles: &Throttles,
    ) -> Result<Attempt, AlertError> {
        let mut attempt = Attempt::default();
        let expired = self.expired(delivery).await?;
        let surrender = match &expired {
            _ if delivery.unknowns >= finish::MAX_UNKNOWN_ATTEMPTS => {
                Some("the process died each time while it was handed over".to_owned())
            }
            // It may have arrived: that is not forgotten for its age.
            Some(reason) if delivery.unknowns > 0 => Some(reason.clone()),
            _ => None,
        };
        if let Some(reason) = surrender {
            let counts = &mut attempt.counts;
            finish::give_up(&self.database, &self.clock, delivery, reason, counts).await?;
            return Ok(attempt);
        }
        let ended = match expired {
            Some(reason) => Err(reason),
            None => match self.writer.message(&self.database, delivery, keys).await {
                Ok(Ok(message)) => Ok(message),
                Ok(Err(unwanted)) => Err(format!("{UNWANTED_REASON_PREFIX}{unwanted}")),
                Err(error) if error.is_lasting() => Err(error.to_string()),
                Err(error) => return Err(error),
            },
        };
        let (sending, message) = match ended {
            Err(reason) => (SendOutcome::Permanent(reason), None),
            Ok(message) => match transport.prepare(&message).await {
                Err(sending) => (sending, Some(message)),
                Ok(()) => match self.go(transport, delivery, &message).await? {
                    Some(sending) => (sending, Some(message)),
                    None => return Ok(attempt),
                },
            },
        };
        let tried = finish::Tried {
            delivery,
            message: message.as_ref(),
        };
        attempt.throttled = self
            .record(tried, &sending, throttles, &mut attempt.counts)
            .await?;
        Ok(attempt)
    }

    /// Records an outcome, and insists: a mail that was taken, and is not known to be, comes twice.
    async fn record(
        &self,
        tried: finish::Tried<'_>,
        sending: &SendOutcome,
        throttles: &Throttles,
        counts: &mut SendCounts,
    ) -> Result<Option<Key>, AlertError> {
        let mut failures = 0;
        loop {
            let (database, clock) = (&self.database, &self.clock);
            let done = finish::finish(database, clock, tried, sending.clone(), throttles, counts);
            match done.await {
                Err(error) if failures < MAX_RECORD_RETRIES => {
                    failures += 1;
                    tracing::warn!(%error, failures, "cannot record a delivery yet");
                    let chance = 0.5 + rand::random::<f64>() / 2.0;
                    let pause = backoff(RECORD_BACKOFF, MAX_RECORD_BACKOFF, failures, chance);
                    sleep(pause).await;
                }
                done => return done,
            }
        }
    }

    /// Reason if a delivery is too old to be tried. After a step of the clock its age is unknown:
    /// then it is tried.
    async fn expired(&self, delivery: &Model) -> Result<Option<String>, AlertError> {
        let (life, setting) = match delivery.kind {
            DeliveryKind::Alert | DeliveryKind::Digest => (self.pace.retry_for, EXPIRED_REASON),
            _ => (RETRY_OTHERS_FOR, "expired: not delivered within a day"),
        };
        let now = self.clock.now(&self.database).await?;
        let is_unsure = self.clock.held().is_some() || self.clock.stepped_within(life);
        if is_unsure || now <= delivery.created_at.plus(life) {
            return Ok(None);
        }
        let last = delivery.error.as_deref();
        let last = last.map_or_else(String::new, |error| format!("; last: {error}"));
        let since = delivery.created_at;
        Ok(Some(format!("{setting}: it waited since {since}{last}")))
    }

    /// `None` where the delivery is another worker's by now.
    async fn go(
        &self,
        transport: &mut dyn Transport,
        delivery: &Model,
        message: &OutgoingMessage,
    ) -> Result<Option<SendOutcome>, AlertError> {
        fail_point!("before-handing-over");
        let (id, bytes) = (&message.message_id, &message.bytes);
        let marked = claim::begin_transmit(&self.database, &self.clock, delivery, id, bytes);
        let Some(now) = marked.await? else {
            return Ok(None);
        };
        let sending = transport.transmit(message, now).await;
        fail_point!("after-handing-over");
        Ok(Some(sending))
    }
}
