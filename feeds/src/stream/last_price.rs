//! Last price of a pair: of a trade, and as the exchange quoted it.

use marketlake_model::{Exact, Millis, Minute};

/// Last prices of a pair, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastPrice {
    /// Of a trade, or a candle.
    pub(super) traded: Option<TradedPrice>,
    /// As the exchange quotes it when a session begins.
    pub(super) quoted: Option<QuotedPrice>,
}

/// Price of a trade, or of a candle.
#[derive(Clone, Copy, Debug)]
pub(super) struct TradedPrice {
    pub(super) price: Exact,
    /// Time of the trade, within its minute.
    pub(super) time: Millis,
    pub(super) id: u64,
}

/// Price that the exchange quoted in a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuotedPrice {
    pub(super) price: Exact,
    pub(super) session: u64,
    /// Interruptions of the session by then: a further one makes it void.
    pub(super) interruptions: u64,
    pub(super) arrival: Millis,
}

impl LastPrice {
    /// Prices that were known before a minute.
    pub(super) fn before(self, minute: Minute) -> Self {
        Self {
            traded: self.traded.filter(|known| known.time < minute.start()),
            quoted: self.quoted.filter(|known| known.arrival.minute() <= minute),
        }
    }
}
