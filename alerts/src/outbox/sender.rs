//! Sends what is due, on several lines at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fail::fail_point;
use marketlake_entities::database;
use marketlake_entities::records::deliveries::{Model, State};
use sea_orm::DatabaseConnection;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{NOT_WANTED, brakes, claim, finish};
use crate::channel::{Channels, Lines, Parcel};
use crate::mail::Writer;
use crate::subscription::Channel;
use crate::{AlertError, Keyring, Sending};

/// How fast deliveries leave.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Lines at once.
    pub lines: usize,
    /// Deliveries a second, of this process, on all lines together.
    pub per_second: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lines: 8,
            per_second: 500,
        }
    }
}

/// What a round of sending did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Taken by the channel.
    pub sent: u64,
    /// To be tried again.
    pub retry: u64,
    /// Given up.
    pub dead: u64,
    /// Nobody can know.
    pub unknown: u64,
}

impl Round {
    pub(super) fn count(&mut self, state: State) -> &'static str {
        let (count, word) = match state {
            State::Sent => (&mut self.sent, "sent"),
            State::Retry => (&mut self.retry, "retry"),
            State::Dead => (&mut self.dead, "dead"),
            _ => (&mut self.unknown, "unknown"),
        };
        *count += 1;
        word
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.retry += other.retry;
        self.dead += other.dead;
        self.unknown += other.unknown;
    }
}

/// Sends deliveries.
#[derive(Clone)]
pub struct Sender {
    database: DatabaseConnection,
    channels: Channels,
    writer: Arc<Writer>,
    pace: Pace,
    /// Whether the mail server asked for time, and has not taken a mail since.
    slowed: Arc<AtomicBool>,
}

impl Sender {
    /// A sender over channels.
    #[must_use]
    pub fn new(
        database: DatabaseConnection,
        channels: Channels,
        writer: Arc<Writer>,
        pace: Pace,
    ) -> Self {
        Self {
            database,
            channels,
            writer,
            pace,
            slowed: Arc::default(),
        }
    }

    /// Sends all that is due until nothing is, or until `stop` says so.
    ///
    /// # Errors
    /// Where the database fails; what was sent and recorded until then stays so.
    pub async fn send_due(
        &self,
        stop: impl Fn() -> bool + Clone + Send + Sync + 'static,
    ) -> Result<Round, AlertError> {
        // Another process, or this one before it started anew, may have heard it.
        let slowed = brakes::is_slowed(&self.database).await?;
        self.slowed.store(slowed, Ordering::Relaxed);
        let gate = Arc::new(Gate::new(self.pace.per_second));
        let mut workers = JoinSet::new();
        for _ in 0..self.pace.lines.max(1) {
            let (sender, gate, stop) = (self.clone(), Arc::clone(&gate), stop.clone());
            workers.spawn(async move { sender.work(&gate, stop).await });
        }
        let mut round = Round::default();
        let mut failed = None;
        while let Some(ended) = workers.join_next().await {
            match ended {
                Ok(Ok(done)) => round.add(done),
                Ok(Err(error)) => failed = Some(error),
                Err(error) => failed = Some(AlertError::Message(error.to_string())),
            }
        }
        failed.map_or(Ok(round), Err)
    }

    async fn work(&self, gate: &Gate, stop: impl Fn() -> bool) -> Result<Round, AlertError> {
        let mut lines = Lines::of(&self.channels);
        let mut round = Round::default();
        while !stop() {
            let taken = claim::claim(&self.database).await?;
            if taken.is_empty() {
                break;
            }
            let now = database::clock(&self.database).await?;
            let keys = Keyring::load(&self.database, now).await?;
            let mut taken = taken.into_iter();
            while let Some(delivery) = taken.next() {
                gate.pass().await;
                let slowed = self.send(&delivery, &keys, &mut lines, &mut round).await?;
                if slowed || stop() {
                    claim::give_back(&self.database, taken.as_slice()).await?;
                    break;
                }
            }
        }
        lines.close().await;
        Ok(round)
    }

    /// Sends one delivery. Whether its server asked to be left alone.
    async fn send(
        &self,
        delivery: &Model,
        keys: &Keyring,
        lines: &mut Lines,
        round: &mut Round,
    ) -> Result<bool, AlertError> {
        if delivery.unknowns >= finish::MOST_UNKNOWN {
            finish::give_up(&self.database, delivery, round).await?;
            return Ok(false);
        }
        let parcel = self.writer.parcel(&self.database, delivery, keys).await;
        let parcel = match parcel {
            Ok(Ok(parcel)) => Ok(parcel),
            Ok(Err(unwanted)) => Err(format!("{NOT_WANTED}{unwanted}")),
            Err(error) if error.is_lasting() => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        let parcel = match parcel {
            Ok(parcel) => parcel,
            Err(reason) => {
                let sending = Sending::Dead(reason);
                finish::finish(&self.database, delivery, sending, None, round).await?;
                return Ok(false);
            }
        };
        let line = lines.line(delivery.channel);
        let sending = match line.prepare(&parcel).await {
            Err(sending) => sending,
            Ok(()) => match self.go(line, delivery, &parcel).await? {
                Some(sending) => sending,
                None => return Ok(false),
            },
        };
        let slowed = matches!(sending, Sending::Slow(_));
        let kept = Some(&*parcel.bytes);
        let is_mail = delivery.channel == Channel::Mail;
        if is_mail && slowed {
            self.slowed.store(true, Ordering::Relaxed);
        } else if is_mail && sending == Sending::Sent && self.slowed.swap(false, Ordering::Relaxed)
        {
            brakes::well(&self.database).await?;
        }
        finish::finish(&self.database, delivery, sending, kept, round).await?;
        Ok(slowed && is_mail)
    }

    /// `None` where the delivery is another worker's by now.
    async fn go(
        &self,
        line: &mut dyn crate::channel::Line,
        delivery: &Model,
        parcel: &Parcel,
    ) -> Result<Option<Sending>, AlertError> {
        fail_point!("before-handing-over");
        if !claim::hand_over(&self.database, delivery, &parcel.bytes).await? {
            return Ok(None);
        }
        let sending = line.hand_over(parcel).await;
        fail_point!("after-handing-over");
        Ok(Some(sending))
    }
}

/// Lets so many pass a second.
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
