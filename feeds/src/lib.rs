//! Feeds: sources of prices and volumes.
//!
//! A [`Feed`] returns the samples of one slot. To add one: a file in `poll/` that implements the
//! trait and declares its [`Exchange`], a line in [`EXCHANGES`], and its recorded responses in
//! `tests/feeds/`. A feed never writes: it parses decimal text to exact values and counts the
//! entries that it rejects, with the reason.

mod batch;
mod error;
mod feed;
pub mod files;
mod history;
mod json;
mod poll;
mod replay;
mod simulated;

pub use batch::{Batch, MAX_SAMPLES};
pub use error::FeedError;
pub use feed::{Coverage, Feed};
pub use poll::EXCHANGES;
pub use poll::binance::Binance;
pub use poll::cryptowatch::Cryptowatch;
pub use poll::exchange::{Exchange, ExchangeOptions};
pub use poll::retry_after::{DEFAULT_PAUSE, MAX_BAN, MAX_RETRY_AFTER};
pub use replay::{ReplayClock, ReplayFeed};
pub use simulated::Simulated;
