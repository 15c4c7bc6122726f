//! `vacuum`: deletes samples past their retention, replaced segments, and objects that never
//! became part of the lake. Each hour.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use marketlake_lake::{Lake, Retention};
use serde_json::json;

use crate::error::JobError;
use crate::job::{HOUR, Job, JobContext, PlannedSlot, PlanningTime, Policy};

/// Time after a step of the clock in which no row or object is deleted for its age.
pub(crate) const CLOCK_TRUSTED_AFTER: Duration = Duration::from_secs(86_400);

/// The job. It leaves: no object but those that are live or younger than the grace period.
pub struct Vacuum {
    lake: Arc<Lake>,
    grace: Duration,
    retention: Retention,
}

impl Vacuum {
    /// Its name.
    pub const NAME: &'static str = "vacuum";

    /// The job over a lake; nothing that was retired less than `grace` ago is deleted.
    #[must_use]
    pub fn new(lake: Arc<Lake>, grace: Duration, retention: Retention) -> Self {
        Self {
            lake,
            grace,
            retention,
        }
    }
}

#[async_trait]
impl Job for Vacuum {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn writes_to_store(&self) -> bool {
        true
    }

    fn interval(&self) -> Duration {
        HOUR
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(600),
            attempts: 3,
            dependencies: &[],
        }
    }

    /// The running hour by the clock; hours that passed need none of their own.
    async fn plan(&self, moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        Ok(vec![PlannedSlot::pending(
            moment.now.minute().hour().start(),
        )])
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let database = self.lake.database();
        let now = run.now(database).await?;
        // By a clock that was set wrongly all history is old: nothing is given up for that.
        let expired = if run.clock_stepped_within(CLOCK_TRUSTED_AFTER) {
            tracing::warn!(slot = %run.slot, "the clock was set recently: no segment \
                expires for now");
            0
        } else {
            self.lake.maintenance().expire(now, self.retention).await?
        };
        let mut vacuumed = self.lake.maintenance().vacuum(now, self.grace).await?;
        vacuumed.expired = expired;
        let outcome = json!({
            "expired": expired,
            "retired": vacuumed.retired,
            "unlisted": vacuumed.unlisted,
        });
        run.finish(database, &outcome).await?;
        tracing::info!(slot = %run.slot, "{vacuumed}");
        Ok(())
    }
}
