//! `deliver-alerts`: sends due deliveries of the outbox. Started by the detection that enqueued
//! them, and whenever a retry is due.

use std::time::Duration;

use async_trait::async_trait;
use marketlake_alerts::delivery::outbox::Sender;
use marketlake_common::Health;
use marketlake_model::Millis;
use sea_orm::DatabaseConnection;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::error::JobError;
use crate::job::{Job, JobContext, PlannedSlot, PlanningTime, Policy};

/// The job. It leaves: deliveries that are sent, to be retried, dead, or unknown.
pub struct DeliverAlerts {
    database: DatabaseConnection,
    sender: Sender,
    stop: CancellationToken,
}

impl DeliverAlerts {
    /// Its name.
    pub const NAME: &'static str = "deliver-alerts";

    /// The job over a sender; it begins no further mail once `stop` is cancelled.
    #[must_use]
    pub fn new(database: DatabaseConnection, sender: Sender, stop: CancellationToken) -> Self {
        Self {
            database,
            sender,
            stop,
        }
    }
}

#[async_trait]
impl Job for DeliverAlerts {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(600),
            attempts: 5,
            dependencies: &[],
        }
    }

    /// The second at which something became due. A detection enters its minute's first instant;
    /// this one avoids it, since a slot is never used twice.
    async fn plan(&self, moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        let second = moment.now.0.div_euclid(1_000);
        if second % 60 == 0 || !self.sender.is_due(moment.now).await? {
            return Ok(Vec::new());
        }
        Ok(vec![PlannedSlot::pending(Millis(second * 1_000))])
    }

    /// Due deliveries go by a time that a clock step does not move.
    fn is_planned_on_any_clock(&self) -> bool {
        true
    }

    fn report_to(&self, health: &Health) {
        self.sender.report_to(health);
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let stop = self.stop.clone();
        let sender = self.sender.clone().with_clock(run.clock.clone());
        let round = sender.send_due(move || stop.is_cancelled()).await?;
        let outcome = json!({
            "sent": round.sent, "retry": round.retry, "dead": round.dead, "unknown": round.unknown,
        });
        run.finish(&self.database, &outcome).await?;
        if round.sent + round.retry + round.dead + round.unknown > 0 {
            tracing::info!(
                slot = %run.slot,
                sent = round.sent,
                retry = round.retry,
                dead = round.dead,
                unknown = round.unknown,
                "deliveries tried"
            );
        }
        Ok(())
    }
}
