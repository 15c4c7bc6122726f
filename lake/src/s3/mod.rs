//! What is particular to S3: who we are there, how objects are encrypted, links to them, and whether a bucket is set up well.

mod bucket;
mod connect;
mod credentials;
mod doctor;
mod encryption;
mod finding;
mod hint;
mod seen;

pub(crate) use bucket::Bucket;
pub(crate) use connect::objects;
pub use encryption::{Encryption, ParseEncryptionError};
pub use finding::{Finding, Health};
pub(crate) use hint::with_hint;
