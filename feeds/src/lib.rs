//! Feeds: sources of prices and volumes.
//!
//! A [`Feed`] returns the samples of one slot, a [`HistoryFeed`] those of a pair between two
//! minutes. To add an exchange: files in `stream/`, `poll/` and `history/` that implement
//! [`StreamProtocol`](stream::StreamProtocol), `PollProtocol` and `HistoryProtocol`, whichever it
//! has; an entry of [`EXCHANGES`]; and its recorded messages in `tests/feeds/`. A feed never
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
pub use history::{HistoryFeed, HistoryLimits};
pub use poll::client::SharedPause;
pub use poll::cryptowatch::Cryptowatch;
pub use poll::retry_after::{DEFAULT_PAUSE, MAX_BAN, MAX_RETRY_AFTER};
pub use replay::{ReplayClock, ReplayFeed};
pub use simulated::Simulated;
pub use stream::{StreamFeed, StreamOptions};
