//! Sends deliveries: the outbox hands them out under leases, mails are rendered once, channels
//! carry them, bounces come back.

pub mod bounces;
pub mod channels;
pub mod mail;
pub mod outbox;
pub mod watchdog;
