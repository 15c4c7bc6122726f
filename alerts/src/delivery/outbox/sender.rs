//! Sends due deliveries in all lanes concurrently.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use marketlake_common::{Health, backoff};
use marketlake_entities::Clock;
use marketlake_model::Millis;
use sea_orm::DatabaseConnection;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::attempt::Attempter;
use super::claim::is_due;
use super::counts::SendCounts;
use super::lane_health::LaneHealth;
use super::lane_worker::{self, Limits, Shared};
use super::outliers::Outliers;
use super::throttle::Throttles;
use crate::delivery::channels::Channels;
use crate::delivery::mail::writer::Writer;
use crate::error::AlertError;
use crate::queue::lane::{LANES, Lane};

/// Time that an alert that was fresh when it was evaluated may wait until it is delivered, by
/// default.
pub const RETRY_FOR: Duration = Duration::from_secs(6 * 3_600);
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

/// Sends deliveries.
#[derive(Clone)]
pub struct Sender {
    attempter: Attempter,
    outliers: Arc<Outliers>,
    rate: SendRate,
}

impl Sender {
    /// A sender over channels.
    #[must_use]
    pub fn new(
        database: DatabaseConnection,
        channels: Channels,
        writer: Arc<Writer>,
        rate: SendRate,
    ) -> Self {
        Self {
            attempter: Attempter {
                database,
                clock: Clock::system(),
                leases: Arc::default(),
                health: LaneHealth::default(),
                channels,
                writer,
                retry_for: rate.retry_for,
            },
            outliers: Arc::default(),
            rate,
        }
    }

    /// Goes by this clock, in place of one of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.attempter.clock = clock;
        self
    }

    /// Says here how its lanes do.
    pub fn report_to(&self, health: &Health) {
        self.attempter.health.enter(health);
        self.attempter.leases.follow();
    }

    /// Whether any delivery waits to be sent at a time; looks at the leases of others, too.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_due(&self, now: Millis) -> Result<bool, AlertError> {
        self.attempter.leases.follow();
        self.attempter
            .leases
            .expire(&self.attempter.database, &self.attempter.clock)
            .await?;
        let due = is_due(&self.attempter.database, now).await?;
        if !due {
            for lane in LANES {
                self.attempter.health.is_idle(lane);
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
        let throttles = Throttles::load(&self.attempter.database, outliers).await?;
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
                Err(error) => failed = Some(AlertError::Message(error.into())),
            }
        }
        failed.map_or(Ok(counts), Err)
    }

    /// Runs a lane, again where it panics; an error where it does so again and again.
    async fn keep_up(self, lane: Lane, shared: Shared) -> Result<SendCounts, AlertError> {
        let mut panics = 0;
        loop {
            let (limits, per_second) = (self.rate.limits(lane), self.rate.per_second);
            let running = lane_worker::run(
                self.attempter.clone(),
                lane,
                limits,
                per_second,
                shared.clone(),
            );
            let panic = match AssertUnwindSafe(running).catch_unwind().await {
                Ok(done) => {
                    self.attempter.health.is_idle(lane);
                    return done;
                }
                Err(panic) => panic,
            };
            let words = self.attempter.health.panicked(lane, &*panic);
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
}
