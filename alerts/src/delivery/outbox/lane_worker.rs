//! Worker of one lane: claims deliveries and sends them over its own connections, so that a
//! receiver that hangs in one lane delays nothing in the other.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fail::fail_point;
use futures::FutureExt;
use futures::future::join_all;
use marketlake_entities::records::deliveries::Model;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument;

use super::attempt::{Attempt, Attempter};
use super::counts::SendCounts;
use super::throttle::{Key, Throttles, is_held_by};
use super::{claim, finish};
use crate::delivery::channels::Transport;
use crate::error::AlertError;
use crate::queue::lane::Lane;
use crate::token::Keyring;

/// Interval at which an idle lane polls while another one is busy.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Time for which a worker goes on claiming.
const MAX_ROUND: Duration = Duration::from_secs(300);
/// Deliveries that are claimed for each connection at once.
const CLAIMS_PER_CONNECTION: usize = 4;

/// State that the lane workers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) throttles: Arc<Throttles>,
    /// Lanes that have something to do.
    pub(super) busy: Arc<AtomicUsize>,
    pub(super) stop: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Connections at once, and those of one destination.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) per_destination: usize,
}

/// Result of one delivery, and the connection that it left free.
type Done = Result<(Box<dyn Transport>, Result<Attempt, AlertError>), Box<Panicked>>;

/// An attempt that panicked; its connection is lost.
struct Panicked {
    delivery: Model,
    words: String,
}

/// The run of one lane.
struct LaneWorker {
    attempter: Attempter,
    lane: Lane,
    shared: Shared,
    gate: Arc<Gate>,
    idle: Vec<Box<dyn Transport>>,
    queue: VecDeque<Model>,
    keys: Option<Arc<Keyring>>,
    running: JoinSet<Done>,
    counts: SendCounts,
    failed: Option<AlertError>,
    is_busy: bool,
}

/// Sends what is due in a lane until nothing is, in this lane and in the others.
pub(super) async fn run(
    attempter: Attempter,
    lane: Lane,
    limits: Limits,
    per_second: u32,
    shared: Shared,
) -> Result<SendCounts, AlertError> {
    let mut run = LaneWorker {
        attempter,
        lane,
        shared,
        gate: Arc::new(Gate::new(per_second)),
        idle: Vec::new(),
        queue: VecDeque::new(),
        keys: None,
        running: JoinSet::new(),
        counts: SendCounts::default(),
        failed: None,
        is_busy: true,
    };
    run.go(limits).await;
    run.set_busy(false);
    join_all(run.idle.iter_mut().map(|transport| transport.close())).await;
    run.failed.take().map_or(Ok(run.counts), Err)
}

impl Drop for LaneWorker {
    /// If the lane panicked, what is being sent goes on and records how it ended.
    fn drop(&mut self) {
        self.set_busy(false);
        self.running.detach_all();
    }
}

impl LaneWorker {
    async fn go(&mut self, limits: Limits) {
        let end = Instant::now() + MAX_ROUND;
        loop {
            self.attempter.health.works(self.lane);
            fail_point!("lane-loop", self.lane == Lane::Mail, |_| ());
            let stopping = self.failed.is_some() || (self.shared.stop)() || Instant::now() >= end;
            if stopping {
                let rest = std::mem::take(&mut self.queue);
                self.give_back(rest).await;
            }
            // One connection probes a server that failed, until it takes something.
            let connections = match self.shared.throttles.has_lane(self.lane) {
                true => 1,
                false => limits.connections,
            };
            if !stopping && self.running.len() < connections && self.queue.is_empty() {
                let max = connections * CLAIMS_PER_CONNECTION;
                self.claim(max, limits.per_destination).await;
            }
            while self.failed.is_none() && self.running.len() < connections {
                let Some(delivery) = self.queue.pop_front() else {
                    break;
                };
                self.begin(delivery);
            }
            let has_room = self.running.len() < connections;
            self.set_busy(!self.running.is_empty());
            if self.running.is_empty() {
                if stopping || self.shared.busy.load(Ordering::SeqCst) == 0 {
                    break;
                }
                sleep(POLL_INTERVAL).await;
            } else if has_room && !stopping {
                tokio::select! {
                    Some(ended) = self.running.join_next() => self.end(ended).await,
                    () = sleep(POLL_INTERVAL) => (),
                }
            } else if let Some(ended) = self.running.join_next().await {
                self.end(ended).await;
            }
        }
    }

    fn set_busy(&mut self, busy: bool) {
        if busy == self.is_busy {
            return;
        }
        self.is_busy = busy;
        if busy {
            self.shared.busy.fetch_add(1, Ordering::SeqCst);
        } else {
            self.shared.busy.fetch_sub(1, Ordering::SeqCst);
        }
    }

    async fn claim(&mut self, max: usize, per_destination: usize) {
        let database = &self.attempter.database;
        let claimed = async {
            let Attempter { leases, clock, .. } = &self.attempter;
            leases.expire(database, clock).await?;
            let now = self.attempter.clock.now(database).await?;
            let taken = claim::claim(database, now, self.lane, max, per_destination).await?;
            if taken.is_empty() {
                return Ok((taken, None));
            }
            let keys = Keyring::load(database, now).await?;
            Ok::<_, AlertError>((taken, Some(Arc::new(keys))))
        };
        match claimed.await {
            Ok((taken, keys)) => {
                self.queue = taken.into();
                self.keys = keys.or(self.keys.take());
            }
            Err(error) => self.failed = Some(error),
        }
    }

    fn begin(&mut self, delivery: Model) {
        let Some(keys) = self.keys.clone() else {
            return;
        };
        let (attempter, gate) = (self.attempter.clone(), Arc::clone(&self.gate));
        let throttles = Arc::clone(&self.shared.throttles);
        let (free, lane) = (self.idle.pop(), self.lane);
        let mut transport = free.unwrap_or_else(|| attempter.channels.transport(lane));
        let span = tracing::error_span!(
            "delivery",
            id = delivery.id,
            kind = %delivery.kind,
            channel = %delivery.channel,
            attempt = delivery.attempts,
        );
        let attempt = async move {
            gate.pass().await;
            let attempt = attempter.attempt(&delivery, &keys, transport.as_mut(), &throttles);
            let attempt = match AssertUnwindSafe(attempt).catch_unwind().await {
                Ok(attempt) => attempt,
                Err(panic) => {
                    let words = attempter.health.panicked(lane, &*panic);
                    return Err(Box::new(Panicked { delivery, words }));
                }
            };
            if attempt.is_err() {
                // A delivery that was not handed over need not wait for its lease to run out.
                let given = claim::give_back(&attempter.database, [delivery]).await;
                if let Err(error) = given {
                    tracing::warn!(%error, "cannot give a delivery back; its lease will run out");
                }
            }
            Ok((transport, attempt))
        };
        self.running.spawn(attempt.instrument(span));
    }

    async fn end(&mut self, ended: Result<Done, tokio::task::JoinError>) {
        let attempt = match ended {
            Ok(Ok((transport, attempt))) => {
                self.idle.push(transport);
                attempt
            }
            Ok(Err(panicked)) => {
                let Panicked { delivery, words } = *panicked;
                let Attempter {
                    database, clock, ..
                } = &self.attempter;
                let put_off = finish::put_off(database, clock, &delivery, &words);
                put_off.await.map(|()| Attempt::default())
            }
            Err(error) => Err(AlertError::Lane(error.to_string())),
        };
        match attempt {
            Ok(attempt) => {
                self.counts.add(attempt.counts);
                if let Some(held) = attempt.throttled {
                    self.release(&held).await;
                }
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// Gives back what was claimed and is throttled now.
    async fn release(&mut self, held: &Key) {
        let all = std::mem::take(&mut self.queue);
        let (held, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| is_held_by(one, held));
        self.queue = rest.into();
        self.give_back(held).await;
    }

    async fn give_back(&mut self, deliveries: impl IntoIterator<Item = Model>) {
        let given = claim::give_back(&self.attempter.database, deliveries).await;
        if let (Err(error), None) = (given, &self.failed) {
            self.failed = Some(error.into());
        }
    }
}

/// Rate limiter: lets a fixed number of deliveries a second pass.
struct Gate {
    step: Duration,
    next: Mutex<Instant>,
}

impl Gate {
    fn new(per_second: u32) -> Self {
        Self {
            step: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::new(Instant::now()),
        }
    }

    async fn pass(&self) {
        let mine = {
            let mut next = self.next.lock().await;
            let mine = (*next).max(Instant::now());
            *next = mine + self.step;
            mine
        };
        sleep_until(mine).await;
    }
}
