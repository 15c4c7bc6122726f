//! The scheduler and the typed jobs.
//!
//! A [`Job`] lists its due slots and runs one. The slot table ([`slots`]) lets one worker claim
//! each slot, once. The [`Runner`] claims slots, renews leases and retries; the [`Scheduler`] plans
//! each second. Runner and scheduler know no job; jobs read the time from the slot and the
//! [`Clock`] only. The [`supervisor`] restarts long-running tasks.
//!
//! To add a job: a file in `jobs/` with a struct that implements [`Job`], and its lines in
//! `jobs/mod.rs`: module, name, [`JobSet::all`].

mod adoption;
mod clock_repair;
mod error;
mod gap_filler;
mod gap_progress;
mod gap_retry;
mod gap_upkeep;
mod gaps;
mod job;
mod jobs;
mod run_log;
mod runner;
mod scheduler;
mod shards;
pub mod slots;
pub mod supervisor;

pub use adoption::MarkIngested;
pub use error::{JobError, Retry};
pub use job::{Dependency, Job, JobContext, PlannedSlot, PlanningTime, Policy};
pub use jobs::backfill::{Backfill, OnSymbol};
pub use jobs::compact_daily::CompactDaily;
pub use jobs::compact_hourly::CompactHourly;
pub use jobs::deliver_alerts::DeliverAlerts;
pub use jobs::detect_jumps::{DetectJumps, DetectOptions};
pub use jobs::expire_subscriptions::ExpireSubscriptions;
pub use jobs::fill_gaps::FillGaps;
pub use jobs::ingest_minute::IngestMinute;
pub use jobs::publish_manifests::PublishManifests;
pub use jobs::review_jumps::{ReviewJumps, evaluated_minutes};
pub use jobs::vacuum::Vacuum;
pub use jobs::watchdog::{Watchdog, WatchdogOptions};
pub use jobs::{JOB_NAMES, JobDeps, JobSet};
pub use marketlake_entities::clock::{
    Clock, Event as ClockEvent, Line as ClockLine, MAX_CLOCK_DIFFERENCE, Reading as ClockReading,
    STEP_SETTLE_TIME, STEP_TOLERANCE,
};
pub use runner::{RunOnce, Runner};
pub use scheduler::Scheduler;
pub use shards::Source;
