//! Feeds: sources of prices and volumes.
//!
//! A [`Feed`] returns the samples of one slot. To add an exchange: a file in `stream/` that
//! implements [`StreamProtocol`](stream::StreamProtocol), or one in `poll/` that implements the
//! trait; an entry of [`EXCHANGES`]; and its recorded messages in `tests/feeds/`. A feed never
//! writes: it parses decimal text to exact values and counts the entries that it rejects, with the
//! reason.

mod batch;
mod error;
mod exchange;
mod feed;
pub mod files;
mod history;
mod json;
mod poll;
mod replay;
mod simulated;
pub mod stream;

pub use batch::{Batch, MAX_SAMPLES};
pub use error::FeedError;
pub use exchange::{EXCHANGES, Exchange, ExchangeOptions, stream_protocol};
pub use feed::{Coverage, Feed};
pub use poll::binance::Binance;
pub use poll::cryptowatch::Cryptowatch;
pub use poll::retry_after::{DEFAULT_PAUSE, MAX_BAN, MAX_RETRY_AFTER};
pub use replay::{ReplayClock, ReplayFeed};
pub use simulated::Simulated;
pub use stream::{StreamFeed, StreamOptions};
