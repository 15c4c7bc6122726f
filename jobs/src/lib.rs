//! The scheduler and the typed jobs.
//!
//! A [`Job`] says which slots it wants and does one; the slot table ([`slots`]) decides who does
//! which, once; the [`Runner`] claims, renews leases and retries; the [`Scheduler`] rings each
//! second. The machinery knows no job, and the jobs know no clock but the slot and the [`Clock`].
//! The [`supervisor`] restarts long-running tasks.
//!
//! To add a job: a file with a struct that implements [`Job`], and a line in [`JobSet::all`].

mod adoption;
mod backfill;
mod clock_repair;
mod compact_daily;
mod compact_hourly;
mod deliver_alerts;
mod detect_jumps;
mod error;
mod expire_subscriptions;
mod ingest_minute;
mod job;
mod publish_manifests;
mod registry;
mod review_jumps;
mod run_log;
mod runner;
mod scheduler;
mod shards;
pub mod slots;
pub mod supervisor;
mod vacuum;
mod watchdog;

pub use adoption::MarkIngested;
pub use backfill::{Backfill, OnSymbol};
pub use compact_daily::CompactDaily;
pub use compact_hourly::CompactHourly;
pub use deliver_alerts::DeliverAlerts;
pub use detect_jumps::{DetectJumps, DetectOptions};
pub use error::{JobError, Retry};
pub use expire_subscriptions::ExpireSubscriptions;
pub use ingest_minute::IngestMinute;
pub use job::{Dependency, Job, JobContext, PlannedSlot, PlanningTime, Policy};
pub use marketlake_entities::clock::{
    Clock, Event as ClockEvent, Line as ClockLine, MAX_CLOCK_DIFFERENCE, Reading as ClockReading,
    STEP_SETTLE_TIME, STEP_TOLERANCE,
};
pub use publish_manifests::PublishManifests;
pub use registry::{JOB_NAMES, JobDeps, JobSet};
pub use review_jumps::{ReviewJumps, evaluated_minutes};
pub use runner::{RunOnce, Runner};
pub use scheduler::Scheduler;
pub use shards::Source;
pub use vacuum::Vacuum;
pub use watchdog::{Watchdog, WatchdogOptions};
