//! The jobs, a file each, and the registry of all of them.

pub(crate) mod backfill;
pub(crate) mod compact_daily;
pub(crate) mod compact_hourly;
pub(crate) mod deliver_alerts;
pub(crate) mod detect_jumps;
pub(crate) mod expire_subscriptions;
pub(crate) mod fill_gaps;
pub(crate) mod ingest_minute;
pub(crate) mod publish_manifests;
pub(crate) mod review_jumps;
pub(crate) mod vacuum;
pub(crate) mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use marketlake_alerts::delivery::outbox::Sender;
use marketlake_feeds::ReplayClock;
use marketlake_lake::{Lake, Retention};
use tokio_util::sync::CancellationToken;

use crate::job::Job;
use crate::jobs::compact_daily::CompactDaily;
use crate::jobs::compact_hourly::CompactHourly;
use crate::jobs::deliver_alerts::DeliverAlerts;
use crate::jobs::detect_jumps::{DetectJumps, DetectOptions};
use crate::jobs::expire_subscriptions::ExpireSubscriptions;
use crate::jobs::fill_gaps::FillGaps;
use crate::jobs::ingest_minute::IngestMinute;
use crate::jobs::publish_manifests::PublishManifests;
use crate::jobs::review_jumps::ReviewJumps;
use crate::jobs::vacuum::Vacuum;
use crate::jobs::watchdog::{Watchdog, WatchdogOptions};
use crate::shards::Source;

/// Names of all jobs, in the order of [`JobSet::all`].
pub const JOB_NAMES: [&str; 11] = [
    IngestMinute::NAME,
    FillGaps::NAME,
    DetectJumps::NAME,
    DeliverAlerts::NAME,
    ReviewJumps::NAME,
    ExpireSubscriptions::NAME,
    Watchdog::NAME,
    CompactHourly::NAME,
    CompactDaily::NAME,
    PublishManifests::NAME,
    Vacuum::NAME,
];

/// Dependencies of the jobs.
pub struct JobDeps {
    /// The lake.
    pub lake: Arc<Lake>,
    /// The feeds, in the order in which they win a metric.
    pub feeds: Vec<Source>,
    /// The pace, where a replay sets one.
    pub pace: Option<ReplayClock>,
    /// Sender of deliveries.
    pub sender: Sender,
    /// Number of alert mails in 24 hours after which an address gets the rest in hourly digests.
    pub max_mails_per_day: u64,
    /// Age of a minute at its evaluation from which its alerts are recorded, and not sent.
    pub max_alert_age: Duration,
    /// Options of the watchdog.
    pub watch: WatchdogOptions,
    /// Time for which vacuum keeps replaced segments.
    pub grace: Duration,
    /// Retention of history.
    pub retention: Retention,
    /// Cancelled when no new work is to be begun.
    pub stop: CancellationToken,
}

/// Jobs that one process runs.
#[derive(Clone)]
pub struct JobSet(Vec<Arc<dyn Job>>);

impl JobSet {
    /// Every job.
    #[must_use]
    pub fn all(deps: JobDeps) -> Self {
        let JobDeps {
            lake,
            feeds,
            pace,
            sender,
            max_mails_per_day,
            max_alert_age,
            watch,
            grace,
            retention,
            stop,
        } = deps;
        let database = lake.database().clone();
        // A replay's minutes are as old as its history.
        let is_live = pace.is_none() && !feeds.is_empty();
        let detection = DetectOptions {
            max_mails_per_day,
            max_age: max_alert_age,
            is_live: pace.is_none(),
        };
        // A replay's feed has every minute.
        let gaps_of = if is_live { feeds.clone() } else { Vec::new() };
        Self(vec![
            Arc::new(IngestMinute::new(Arc::clone(&lake), feeds, pace)),
            Arc::new(FillGaps::new(Arc::clone(&lake), &gaps_of)),
            Arc::new(DetectJumps::new(Arc::clone(&lake), detection)),
            Arc::new(DeliverAlerts::new(database.clone(), sender, stop)),
            Arc::new(ReviewJumps::new(Arc::clone(&lake))),
            Arc::new(ExpireSubscriptions::new(database.clone())),
            Arc::new(Watchdog::new(database, watch, is_live)),
            Arc::new(CompactHourly::new(Arc::clone(&lake))),
            Arc::new(CompactDaily::new(Arc::clone(&lake))),
            Arc::new(PublishManifests::new(Arc::clone(&lake))),
            Arc::new(Vacuum::new(lake, grace, retention)),
        ])
    }

    /// Those of the names that `wanted` accepts.
    #[must_use]
    pub fn only(self, wanted: impl Fn(&str) -> bool) -> Self {
        Self(
            self.0
                .into_iter()
                .filter(|job| wanted(job.name()))
                .collect(),
        )
    }

    /// The job of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<dyn Job>> {
        self.0.iter().find(|job| job.name() == name).cloned()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Job>> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
