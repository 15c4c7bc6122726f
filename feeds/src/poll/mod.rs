//! Feeds that poll an exchange over HTTP, once a slot.

pub(crate) mod binance;
pub(crate) mod client;
pub(crate) mod credentials;
pub(crate) mod cryptowatch;
pub(crate) mod retry_after;
