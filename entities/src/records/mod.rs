//! The tables of the catalog, one sea-orm entity a file. Instants are [`Millis`](crate::Millis).

pub mod alerts;
pub mod deliveries;
pub mod job_runs;
pub mod metrics;
pub mod segments;
pub mod subscriptions;
