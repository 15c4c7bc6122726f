//! Who hears of which jump, and how the word reaches them.
//!
//! - Deciding: [`Rule`] and its [`machine`](machine) judge one minute; the [`detector`] judges a minute for everybody, [`replay`] and
//!   [`backtest`](backtest()) a stretch of time by the same machine, [`rule_tests`] what a user wrote down.
//! - Living: a [`Subscription`] from pending to unsubscribed; [`Keyring`] signs the links by which its owner rules it; [`bounce`] and
//!   complaints end it.
//! - Telling: the [`outbox`] hands deliveries out under leases; [`mail`] makes their bytes, once; a [`Channel`](channel::Channel) carries them; the
//!   [`watchman`] tells an operator.
//!
//! To add a channel: implement its two traits, and run the fault matrix in `tests/alerts/` on it. To add a kind of mail: three templates, a
//! story, an arm in `mail/writer.rs`, a line in `mail/preview.rs`.

mod backtest;
pub mod bounce;
pub mod channel;
pub mod detector;
mod error;
mod evidence;
pub mod machine;
pub mod mail;
pub mod outbox;
mod recipients;
pub mod replay;
mod rule;
pub mod rule_tests;
pub mod subscription;
mod token;
pub mod track;
pub mod watchman;

pub use backtest::{Backtest, MOST_DAYS, Warning, backtest, try_out};
pub use channel::{
    ChannelError, Channels, FileChannel, Guard, Sending, SmtpChannel, WebhookChannel,
};
pub use error::{AlertError, FieldError};
pub use evidence::Evidence;
pub use rule::{Judged, LONGEST_WINDOW, Rule};
pub use subscription::{NewSubscription, Subscription};
pub use token::{Keyring, Purpose, TokenError};
