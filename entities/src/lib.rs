//! The words of marketlake, and its records.
//!
//! The words are plain values that every other crate speaks in: a [`Metric`] has a [`Sample`] at a
//! [`Minute`], whose value is an [`Exact`] decimal; a [`JumpRule`] decides what is a [`Jump`]. They
//! know no database and read no clock; the time that all go by is [`clock`]'s.
//!
//! The records are the tables of the catalog, one sea-orm entity a file, in [`records`].
//!
//! To add a table: a migration in `migrations/`, an entity file in `records/`, a line in
//! `records/mod.rs`, and a row in the test that compares the two on `SQLite` and Postgres.

mod backoff;
mod causes;
pub mod clock;
pub mod database;
mod exact;
mod excerpt;
pub mod failure_log;
pub mod health;
mod hex;
mod jump;
mod metric;
mod minute;
mod panic_message;
mod pattern;
pub mod portable;
pub mod private_file;
pub mod records;
mod sample;
mod secret;

pub use backoff::backoff;
pub use causes::{causes, reason};
pub use clock::Clock;
pub use exact::{Exact, ParseExactError};
pub use excerpt::{excerpt, excerpt_message};
pub use health::Health;
pub use hex::hex;
pub use jump::{Direction, Jump, JumpRule, NoData, ParseDirectionError, Trailing};
pub use metric::{Metric, PRICE, ParseMetricError, SIMULATED, VOLUME};
pub use minute::{Millis, Minute, ParseTimeError, parse_time};
pub use panic_message::panic_message;
pub use pattern::{ParsePatternError, Pattern};
pub use sample::{Rejected, Sample};
pub use secret::{REDACTED, Secret, SecretUrl, redact_url, scrub};
