//! Feeds that poll an exchange over HTTP, once a slot: the last price and the volume of 24 hours of
//! every pair.
//!
//! To add an exchange: a file here that implements `PollProtocol`, and its line in
//! [`EXCHANGES`](crate::EXCHANGES).

pub(crate) mod api_error;
pub(crate) mod binance;
pub(crate) mod bitstamp;
pub(crate) mod bybit;
pub(crate) mod client;
pub(crate) mod coinbase;
pub(crate) mod credentials;
pub(crate) mod cryptowatch;
pub(crate) mod feed;
pub(crate) mod kraken;
pub(crate) mod okx;
pub(crate) mod protocol;
pub(crate) mod retry_after;
