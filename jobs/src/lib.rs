//! The scheduler and the typed jobs.
//!
//! A [`Job`] says which slots it wants and does one; the slot table ([`slots`]) decides who does which, once; the
//! [`Runner`] claims, renews leases and retries; the [`Scheduler`] rings each second. The machinery knows
//! no job, and the jobs know no clock but the slot and the [`Clock`]. What runs long is watched
//! over by the [`supervisor`].
//!
//! To add a job: a file with a struct that implements [`Job`], and a line in [`JobSet::all`].

mod adopted;
mod backfill;
mod compact_daily;
mod compact_hourly;
mod deliver_alerts;
mod detect_jumps;
mod error;
mod failed;
mod ingest_minute;
mod job;
mod parts;
mod publish_manifests;
mod registry;
mod review_jumps;
mod runner;
mod scheduler;
pub mod slots;
pub mod supervisor;
mod tend_subscriptions;
mod vacuum;
mod watchman;
mod wrong_clock;

pub use adopted::MarkIngested;
pub use backfill::{Backfill, OnSymbol};
pub use compact_daily::CompactDaily;
pub use compact_hourly::CompactHourly;
pub use deliver_alerts::DeliverAlerts;
pub use detect_jumps::{DetectJumps, DetectOptions};
pub use error::JobError;
pub use ingest_minute::IngestMinute;
pub use job::{Due, Job, Moment, Policy, Run, WaitsFor};
pub use marketlake_entities::clock::{
    Clock, Event as ClockEvent, Line as ClockLine, MAX_CLOCK_DIFFERENCE, Reading as ClockReading,
    STEP_SETTLE_TIME, STEP_TOLERANCE,
};
pub use parts::Source;
pub use publish_manifests::PublishManifests;
pub use registry::{JobSet, Parts};
pub use review_jumps::{ReviewJumps, judged};
pub use runner::{RunOnce, Runner};
pub use scheduler::Scheduler;
pub use tend_subscriptions::TendSubscriptions;
pub use vacuum::Vacuum;
pub use watchman::{Watch, Watchman};
