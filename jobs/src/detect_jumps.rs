//! `detect-jumps`: judges one minute by every rule that somebody subscribed to, one minute after the other. Started by the commit of that minute.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fail::fail_point;
use marketlake_alerts::detector;
use marketlake_alerts::outbox::{TOO_OLD, Telling};
use marketlake_entities::database;
use marketlake_entities::records::job_runs::State;
use marketlake_lake::Lake;
use marketlake_model::Millis;
use metrics::counter;
use serde_json::json;

use crate::{
    DeliverAlerts, Due, IngestMinute, Job, JobError, Moment, Policy, Run, WaitsFor, slots,
};

/// The longest window of a rule: what must be ingested before a minute can be judged.
const BACK_MS: i64 = 24 * 3_600_000;

/// The same of a replay's minutes, from when they came in: a fast one is ahead of its detection.
const MAX_REPLAYED_AGE: Duration = Duration::from_secs(6 * 3_600);
const MINUTE: Duration = Duration::from_secs(60);

/// How long the window may take to have the minute; without it the files answer.
const WINDOW_PATIENCE: Duration = Duration::from_secs(2);

/// The job. It leaves: alerts, deliveries, states and why they changed, and a slot of `deliver-alerts` where there are any.
pub struct DetectJumps {
    lake: Arc<Lake>,
    options: DetectOptions,
}

/// How new alerts are told of.
#[derive(Clone, Copy, Debug)]
pub struct DetectOptions {
    /// After so many mails about alerts in 24 hours an address gets the rest in hourly digests.
    pub mails_a_day: u64,
    /// A minute that ended so long before it is judged has its alerts recorded, and not sent.
    pub max_age: Duration,
    /// Whether minutes are of the present. Those of a replay are as old as its history.
    pub is_live: bool,
}

impl DetectJumps {
    /// Its name.
    pub const NAME: &'static str = "detect-jumps";

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
            .filter(|(_, state)| *state != State::Done);
        Ok(missing.map(|(shard, _)| shard).collect())
    }
}

impl DetectJumps {
    /// Why the alerts of a minute are too old to be sent, if they are.
    async fn too_old(&self, run: &Run, now: Millis) -> Result<Option<String>, JobError> {
        let (since, max_age) = if self.options.is_live {
            (run.slot.plus(MINUTE), self.options.max_age)
        } else {
            let row = slots::find(self.lake.database(), Self::NAME, run.slot, run.shard).await?;
            (row.map_or(now, |row| row.created_at), MAX_REPLAYED_AGE)
        };
        let age = now.since(since);
        Ok((now > since.plus(max_age)).then(|| {
            let minutes = age / 60_000;
            format!("{TOO_OLD}: judged {minutes} minutes after its minute ended")
        }))
    }
}

#[async_trait]
impl Job for DetectJumps {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(120),
            attempts: 10,
            waits_for: &[
                WaitsFor {
                    job: IngestMinute::NAME,
                    from_ms: -BACK_MS,
                    // Its own minute too: all parts of it have ended, or have had their time.
                    to_ms: 60_000,
                },
                // Minutes are judged in their order: each begins with what the one before left.
                WaitsFor {
                    job: DetectJumps::NAME,
                    from_ms: -BACK_MS,
                    to_ms: 0,
                },
            ],
        }
    }

    /// None by time: the commit of a minute enters its slot.
    async fn due(&self, _moment: Moment) -> Result<Vec<Due>, JobError> {
        Ok(Vec::new())
    }

    async fn run(&self, run: &Run) -> Result<(), JobError> {
        fail_point!("between-commit-and-detection");
        let database = self.lake.database();
        let minute = run.slot.minute();
        // The minute was committed this moment; memory answers a hundred times faster than files.
        self.lake
            .recent_day()
            .wait_for(minute, WINDOW_PATIENCE)
            .await;
        let verdict = detector::judge(&self.lake, minute).await?;
        let (jumps, rules) = (verdict.jumps, verdict.rules);
        let missing = self.missing_parts(run.slot).await?;
        if !missing.is_empty() {
            tracing::warn!(slot = %run.slot, ?missing, "jumps detected without some parts of the minute");
        }
        let transaction = database::begin_write(database).await?;
        let now = run.now(&transaction).await?;
        let too_old = self.too_old(run, now).await?;
        let telling = Telling {
            stale: too_old.as_deref(),
            mails_a_day: self.options.mails_a_day,
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
            slots::enter(
                &transaction,
                DeliverAlerts::NAME,
                &[Due::pending(run.slot)],
                now,
            )
            .await?;
        }
        fail_point!("between-judging-and-commit");
        transaction.commit().await?;
        counter!("marketlake_jumps_total").increment(jumps as u64);
        counter!("marketlake_alerts_total").increment(recorded.alerts);
        if jumps > 0 {
            tracing::info!(slot = %run.slot, jumps, alerts = recorded.alerts, deliveries = recorded.deliveries, "jumps detected");
        }
        Ok(())
    }
}
