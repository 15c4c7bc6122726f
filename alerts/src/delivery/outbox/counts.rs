//! Counts of deliveries by outcome.

use marketlake_entities::records::deliveries::DeliveryState;

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
