//! Last price of a pair: of a trade, and as the exchange quoted it.

use marketlake_model::{Exact, Millis, Minute};

/// Last prices of a pair, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastPrice {
    /// Of a trade, or a candle.
    pub(super) traded: Option<KnownPrice>,
    /// As the exchange quotes it when a session begins.
    pub(super) quoted: Option<KnownPrice>,
}

/// A price, and up to when it is proved to be the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownPrice {
    pub(super) price: Exact,
    /// Time and id of the trade, or the arrival of a quote.
    pub(super) order: (Millis, u64),
    /// First minute of which it may be the price before.
    pub(super) usable_from: Minute,
    /// Session in which it came.
    pub(super) session: u64,
    /// Interruptions of the session by then. Until the next one the session shows a newer price.
    pub(super) interruptions: u64,
    /// Time up to which no newer price can be missing.
    pub(super) proved_until: Millis,
}

impl LastPrice {
    /// Prices that were known before a minute.
    pub(super) fn before(self, minute: Minute) -> Self {
        let usable = |known: &KnownPrice| known.usable_from <= minute;
        Self {
            traded: self.traded.filter(usable),
            quoted: self.quoted.filter(usable),
        }
    }
}
