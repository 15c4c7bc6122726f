//! Feeds that read an exchange's stream over WebSocket: price, volume, number of trades, high and
//! low of every minute.
//!
//! To add an exchange: a file here that implements [`StreamProtocol`], a line in
//! [`EXCHANGES`](crate::EXCHANGES), and its messages in `tests/feeds/stream/`.

pub(crate) mod binance;
pub(crate) mod bitstamp;
pub(crate) mod bybit;
pub(crate) mod coinbase;
mod connection;
mod error;
mod feed;
mod keeper;
pub(crate) mod kraken;
mod last_price;
mod listings;
mod minute_book;
pub(crate) mod okx;
mod options;
mod pair;
mod pair_minute;
mod protocol;
mod session;
mod shared;
mod subscriptions;
mod supervise;
pub(crate) mod wire;

pub use feed::StreamFeed;
pub use options::{Clock, StreamOptions, StreamTimings};
pub use protocol::{
    Keepalive, Listing, Listings, StreamEvent, StreamLimits, StreamProtocol, SubscribeRequest,
};
