//! Who hears of which jump, and how the word reaches them.
//!
//! A [`Subscription`] says which jumps; [`detector`] turns jumps into alerts and deliveries in one
//! transaction; [`outbox`] hands deliveries out under leases; a [`Channel`] carries one. To add a channel:
//! implement the trait, and run the fault matrix in `tests/alerts/` on it.

mod channel;
pub mod detector;
mod error;
mod mail;
pub mod outbox;
mod subscription;

pub use channel::{Channel, ChannelError, FileChannel, Sending, SmtpChannel};
pub use error::AlertError;
pub use mail::Mail;
pub use subscription::{FieldError, NewSubscription, Subscription};
