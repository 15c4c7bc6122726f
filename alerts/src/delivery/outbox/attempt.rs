//! One attempt of a delivery: renders the message, transmits it, and records the outcome.

use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use marketlake_common::RetryPolicy;
use marketlake_entities::Clock;
use marketlake_entities::records::deliveries::{DeliveryKind, Model};
use sea_orm::DatabaseConnection;

use super::counts::SendCounts;
use super::lane_health::LaneHealth;
use super::leases::Leases;
use super::throttle::{Key, Throttles};
use super::{claim, finish};
use crate::delivery::channels::{Channels, OutgoingMessage, SendOutcome, Transport};
use crate::delivery::mail::writer::Writer;
use crate::error::AlertError;
use crate::queue::{EXPIRED_REASON, UNWANTED_REASON_PREFIX};
use crate::token::Keyring;

/// Time that any other message may wait.
const RETRY_OTHERS_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Attempts to record an outcome.
const MAX_RECORD_ATTEMPTS: u32 = 5;
const RECORD_POLICY: RetryPolicy = RetryPolicy {
    initial_backoff: Duration::from_millis(500),
    max_backoff: Duration::from_secs(5),
};

/// Makes attempts, for all lanes.
#[derive(Clone)]
pub(super) struct Attempter {
    pub(super) database: DatabaseConnection,
    pub(super) clock: Clock,
    pub(super) leases: Arc<Leases>,
    pub(super) health: LaneHealth,
    pub(super) channels: Channels,
    pub(super) writer: Arc<Writer>,
    /// Time that an alert may wait until it is delivered.
    pub(super) retry_for: Duration,
}

/// Result of one attempt.
#[derive(Default)]
pub(super) struct Attempt {
    pub(super) counts: SendCounts,
    /// Throttle that the attempt set, if any.
    pub(super) throttled: Option<Key>,
}

impl Attempter {
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
                Some("the process died during each transmission".to_owned())
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

    /// Records an outcome, with retries: a sent mail whose outcome is not recorded is sent twice.
    async fn record(
        &self,
        tried: finish::Tried<'_>,
        outcome: &SendOutcome,
        throttles: &Throttles,
        counts: &mut SendCounts,
    ) -> Result<Option<Key>, AlertError> {
        let record = || async {
            let (database, clock) = (&self.database, &self.clock);
            let mut counts = SendCounts::default();
            let outcome = outcome.clone();
            let throttled =
                finish::finish(database, clock, tried, outcome, throttles, &mut counts).await?;
            Ok((throttled, counts))
        };
        let max_attempts = |error: &AlertError, failures| {
            if failures < MAX_RECORD_ATTEMPTS {
                tracing::warn!(%error, failures, "cannot record a delivery yet");
            }
            MAX_RECORD_ATTEMPTS
        };
        let (throttled, recorded) = RECORD_POLICY.retry(record, max_attempts).await?;
        counts.add(recorded);
        Ok(throttled)
    }

    /// Reason if a delivery is too old to be tried. After a step of the clock its age is unknown:
    /// then it is tried.
    async fn expired(&self, delivery: &Model) -> Result<Option<String>, AlertError> {
        let (life, setting) = match delivery.kind {
            DeliveryKind::Alert | DeliveryKind::Digest => (self.retry_for, EXPIRED_REASON),
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
        Ok(Some(format!("{setting}: created at {since}{last}")))
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
