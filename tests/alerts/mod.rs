//! Alerts: who hears what, and what becomes of a mail when the server misbehaves.

mod outbox;
mod subscriptions;
