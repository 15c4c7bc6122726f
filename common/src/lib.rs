//! Shared basics without an owner: secrets, error texts, retries, health, private files.
//!
//! Depends on no domain type, database or network.

mod backoff;
mod causes;
mod excerpt;
pub mod failure_log;
pub mod health;
mod hex;
mod one_of;
mod panic_message;
mod plain_type;
pub mod private_file;
mod retry;
mod secret;

pub use backoff::backoff;
pub use causes::{BoxError, causes, reason};
pub use excerpt::{excerpt, excerpt_message};
pub use health::Health;
pub use hex::hex;
pub use one_of::one_of;
pub use panic_message::panic_message;
pub use plain_type::plain_type;
pub use retry::RetryPolicy;
pub use secret::{REDACTED, Secret, SecretUrl, redact_url, scrub};
