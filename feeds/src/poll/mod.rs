//! Feeds that poll an exchange over HTTP, once a slot.

pub(crate) mod binance;
pub(crate) mod client;
mod credentials;
pub(crate) mod cryptowatch;
pub(crate) mod exchange;
pub(crate) mod retry_after;

use exchange::Exchange;

/// All exchanges, by name.
pub static EXCHANGES: &[&Exchange] = &[&binance::EXCHANGE, &cryptowatch::EXCHANGE];
