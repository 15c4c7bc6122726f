//! History of exchanges: the minutes of a pair between two times, from the REST API.
//!
//! To add an exchange: a file here that implements `HistoryProtocol`, and its line in
//! [`EXCHANGES`](crate::EXCHANGES).

pub(crate) mod binance;
pub(crate) mod bitstamp;
pub(crate) mod bybit;
mod checks;
pub(crate) mod coinbase;
mod feed;
pub(crate) mod kraken;
pub(crate) mod okx;
pub(crate) mod protocol;
mod rows;

pub use feed::HistoryFeed;
pub use protocol::HistoryLimits;
