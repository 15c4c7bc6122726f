//! `detect-jumps`: judges one minute by every rule that somebody subscribed to. Started by the commit of that minute.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fail::fail_point;
use marketlake_alerts::{Subscription, detector};
use marketlake_entities::records::job_runs::State;
use marketlake_entities::{Millis, database};
use marketlake_lake::{JumpQuery, Lake, QueryEngine, Span};
use metrics::counter;
use serde_json::json;

use crate::{
    DeliverAlerts, Due, IngestMinute, Job, JobError, Moment, Policy, Run, WaitsFor, slots,
};

/// The longest window of a rule: what must be ingested before a minute can be judged.
const BACK_MS: i64 = 24 * 3_600_000;

/// How long the window may take to have the minute; without it the files answer.
const WINDOW_PATIENCE: Duration = Duration::from_secs(2);

/// The job. It leaves: alerts, deliveries, and a slot of `deliver-alerts` where there are any.
pub struct DetectJumps {
    lake: Arc<Lake>,
}

impl DetectJumps {
    /// Its name.
    pub const NAME: &'static str = "detect-jumps";

    /// The job over a lake.
    #[must_use]
    pub fn new(lake: Arc<Lake>) -> Self {
        Self { lake }
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

#[async_trait]
impl Job for DetectJumps {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(120),
            attempts: 10,
            waits_for: Some(WaitsFor {
                job: IngestMinute::NAME,
                from_ms: -BACK_MS,
                // Its own minute too: all parts of it have ended, or have had their time.
                to_ms: 60_000,
            }),
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
        self.lake.window().reach(minute, WINDOW_PATIENCE).await;
        let subscriptions = Subscription::all(database).await?;
        let mut found = Vec::new();
        for rule in detector::rules(&subscriptions) {
            let span = Span {
                from: minute,
                to: minute,
            };
            let query = JumpQuery {
                rule,
                span,
                metric: None,
            };
            found.push((rule, self.lake.engine().jumps(&query).await?));
        }
        let transaction = database::begin_write(database).await?;
        let now = database::clock(&transaction).await?;
        let mut alerts = 0;
        for (rule, jumps) in &found {
            alerts += detector::record(&transaction, &subscriptions, rule, jumps, now).await?;
        }
        let jumps: usize = found.iter().map(|(_, jumps)| jumps.len()).sum();
        let missing = self.missing_parts(run.slot).await?;
        if !missing.is_empty() {
            tracing::warn!(slot = %run.slot, ?missing, "jumps detected without some parts of the minute");
        }
        let outcome = json!({
            "rules": found.len(),
            "jumps": jumps,
            "alerts": alerts,
            "missing_shards": missing,
        });
        run.finish(&transaction, &outcome).await?;
        if alerts > 0 {
            slots::enter(
                &transaction,
                DeliverAlerts::NAME,
                &[Due::pending(run.slot)],
                now,
            )
            .await?;
        }
        transaction.commit().await?;
        counter!("marketlake_jumps_total").increment(jumps as u64);
        counter!("marketlake_alerts_total").increment(alerts);
        if jumps > 0 {
            tracing::info!(slot = %run.slot, jumps, alerts, "jumps detected");
        }
        Ok(())
    }
}
