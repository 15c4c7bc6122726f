//! `detect-jumps`: evaluates the rules of all subscriptions for one minute, one minute after the
//! other. Started by the commit of that minute.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fail::fail_point;
use marketlake_alerts::delivery::outbox::{EnqueueOptions, TOO_OLD_REASON};
use marketlake_alerts::detection;
use marketlake_entities::database;
use marketlake_entities::records::job_runs::JobRunState;
use marketlake_lake::Lake;
use marketlake_model::Millis;
use metrics::counter;
use serde_json::json;

use crate::error::JobError;
use crate::job::{Dependency, Job, JobContext, MINUTE, PlannedSlot, PlanningTime, Policy};
use crate::jobs::deliver_alerts::DeliverAlerts;
use crate::jobs::ingest_minute::{DETECT_JUMPS, IngestMinute};
use crate::slots;

/// The longest window of a rule: what must be ingested before a minute can be evaluated.
const LOOKBACK_MS: i64 = 24 * 3_600_000;

/// The same of a replay's minutes, from when they came in: a fast one is ahead of its detection.
const MAX_REPLAYED_AGE: Duration = Duration::from_secs(6 * 3_600);

/// Timeout until the in-memory window has the minute; after it the files are read.
const WINDOW_TIMEOUT: Duration = Duration::from_secs(2);

/// The job. It leaves: alerts, deliveries, states and why they changed, and a slot of
/// `deliver-alerts` where there are any.
pub struct DetectJumps {
    lake: Arc<Lake>,
    options: DetectOptions,
}

/// Options of enqueueing alerts.
#[derive(Clone, Copy, Debug)]
pub struct DetectOptions {
    /// Number of alert mails in 24 hours after which an address gets the rest in hourly digests.
    pub max_mails_per_day: u64,
    /// Age of a minute at its evaluation from which its alerts are recorded, and not sent.
    pub max_age: Duration,
    /// Whether minutes are of the present. Those of a replay are as old as its history.
    pub is_live: bool,
}

impl DetectJumps {
    /// Its name.
    pub const NAME: &'static str = DETECT_JUMPS;

    /// The job over a lake.
    #[must_use]
    pub fn new(lake: Arc<Lake>, options: DetectOptions) -> Self {
        Self { lake, options }
    }
}

impl DetectJumps {
    /// The parts of a minute that were not ingested in time.
    async fn missing_parts(&self, slot: Millis) -> Result<Vec<i32>, JobError> {
        let shards = slots::shards(self.lake.database(), IngestMinute::NAME, slot).await?;
        let missing = shards
            .into_iter()
            .filter(|(_, state)| *state != JobRunState::Done);
        Ok(missing.map(|(shard, _)| shard).collect())
    }
}

impl DetectJumps {
    /// Reason if the alerts of a minute are too old to be sent.
    async fn too_old(&self, run: &JobContext, now: Millis) -> Result<Option<String>, JobError> {
        let (since, max_age) = if self.options.is_live {
            (run.slot.plus(MINUTE), self.options.max_age)
        } else {
            let row = slots::find(self.lake.database(), Self::NAME, run.slot, run.shard).await?;
            (row.map_or(now, |row| row.created_at), MAX_REPLAYED_AGE)
        };
        let age = now.since(since);
        Ok((now > since.plus(max_age)).then(|| {
            let minutes = age / 60_000;
            format!("{TOO_OLD_REASON}: evaluated {minutes} minutes after its minute ended")
        }))
    }
}

#[async_trait]
impl Job for DetectJumps {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// At the end of its minute, like the ingest of it.
    fn due(&self, slot: Millis) -> Millis {
        slot.plus(MINUTE)
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(120),
            attempts: 10,
            dependencies: &[
                Dependency {
                    job: IngestMinute::NAME,
                    from_ms: -LOOKBACK_MS,
                    // Its own minute too: all parts of it have ended, or have had their time.
                    to_ms: 60_000,
                },
                // Minutes are evaluated in their order: each begins with what the one before left.
                Dependency {
                    job: DetectJumps::NAME,
                    from_ms: -LOOKBACK_MS,
                    to_ms: 0,
                },
            ],
        }
    }

    /// None by time: the commit of a minute enters its slot.
    async fn plan(&self, _moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        Ok(Vec::new())
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        fail_point!("between-commit-and-detection");
        let database = self.lake.database();
        let minute = run.slot.minute();
        // The minute was committed this moment; memory answers a hundred times faster than files.
        self.lake
            .recent_day()
            .wait_for(minute, WINDOW_TIMEOUT)
            .await;
        let verdict = detection::evaluate(&self.lake, minute).await?;
        let (jumps, rules) = (verdict.jumps, verdict.rules);
        let missing = self.missing_parts(run.slot).await?;
        if !missing.is_empty() {
            tracing::warn!(slot = %run.slot, ?missing, "jumps detected without some parts of the \
                minute");
        }
        let transaction = database::begin_write(database).await?;
        let now = run.now(&transaction).await?;
        let too_old = self.too_old(run, now).await?;
        let telling = EnqueueOptions {
            stale: too_old.as_deref(),
            max_mails_per_day: self.options.max_mails_per_day,
        };
        let recorded = verdict.record(&transaction, now, telling).await?;
        let outcome = json!({
            "rules": rules,
            "jumps": jumps,
            "alerts": recorded.alerts,
            "deliveries": recorded.deliveries,
            "transitions": recorded.transitions,
            "missing_shards": missing,
            "not_sent": too_old,
        });
        run.finish(&transaction, &outcome).await?;
        if recorded.deliveries > 0 && too_old.is_none() {
            slots::enqueue(
                &transaction,
                DeliverAlerts::NAME,
                &[PlannedSlot::pending(run.slot)],
                now,
            )
            .await?;
        }
        fail_point!("between-evaluation-and-commit");
        transaction.commit().await?;
        counter!("marketlake_jumps_total").increment(jumps as u64);
        counter!("marketlake_alerts_total").increment(recorded.alerts);
        if jumps > 0 {
            tracing::info!(
                slot = %run.slot,
                jumps,
                alerts = recorded.alerts,
                deliveries = recorded.deliveries,
                "jumps detected"
            );
        }
        Ok(())
    }
}
