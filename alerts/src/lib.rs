//! Alert subscriptions: rules, their evaluation, and the delivery of alerts.
//!
//! - [`rules`]: a [`Rule`], its state machine and its evaluation over minutes; pure functions.
//! - [`queue`]: rows of the deliveries table, and the suppression list.
//! - [`subscriptions`]: sign-up, lifecycle and access of a [`Subscription`].
//! - [`delivery`]: the outbox worker, mails, channels, bounces, and mails to the operator.
//! - [`detection`]: evaluates a minute for all subscriptions, replays and backtests.
//!
//! Each folder uses those above it in this list only. [`Keyring`] signs the links of mails.
//!
//! To add a channel: implement its two traits, and run the fault matrix in `tests/alerts/` on it.
//! To add a kind of mail: three templates, a context, an arm in `delivery/mail/writer.rs`, a line
//! in `delivery/mail/preview.rs`.

mod address;
pub mod delivery;
pub mod detection;
mod error;
pub mod queue;
pub mod rules;
pub mod subscriptions;
mod token;

pub use delivery::channels::{
    ChannelError, Channels, FileChannel, Guard, SendOutcome, SmtpChannel, WebhookChannel,
};
pub use detection::{
    Backtest, MAX_BACKTEST_DAYS, Warning, backtest, backtest_days_within, try_out,
};
pub use error::{AlertError, FieldError};
pub use rules::evidence::Evidence;
pub use rules::rule::{MAX_WINDOW_MINUTES, Rule, ScopedRule};
pub use subscriptions::{Subscription, SubscriptionSpec};
pub use token::{Keyring, Purpose, TokenError};
