//! Where prices come from.
//!
//! A [`Feed`] gives the samples of one slot. To add one: a file that implements the trait, a line
//! here, a kind in the binary's configuration, and its answers in `tests/feeds/`. A feed never
//! writes: it parses decimal text to exact values, counts what it could not keep, and says why.

mod batch;
mod binance;
mod credentials;
mod cryptowatch;
mod feed;
pub mod files;
mod http;
mod json;
mod pause;
mod replay;
mod simulated;

pub use batch::{Batch, MAX_SAMPLES};
pub use binance::Binance;
pub use cryptowatch::Cryptowatch;
pub use feed::{Feed, FeedError, Recall};
pub use pause::{DEFAULT_PAUSE, MAX_BAN, MAX_RETRY_AFTER};
pub use replay::{Pace, Replay};
pub use simulated::Simulated;
