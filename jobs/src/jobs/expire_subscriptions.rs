//! `expire-subscriptions`: deletes unconfirmed subscriptions, expires ended ones, gives up old
//! gaps, and prunes old messages and closed gaps. Each hour.

use std::time::Duration;

use async_trait::async_trait;
use marketlake_alerts::delivery::outbox;
use marketlake_alerts::subscriptions;
use marketlake_entities::database;
use sea_orm::DatabaseConnection;
use serde_json::json;

use crate::error::JobError;
use crate::gap_upkeep;
use crate::job::{HOUR, Job, JobContext, PlannedSlot, PlanningTime, Policy};
use crate::jobs::vacuum::CLOCK_TRUSTED_AFTER;

/// The job. It leaves: no subscription that is pending for over seven days, none in force whose
/// last day is over.
pub struct ExpireSubscriptions {
    database: DatabaseConnection,
}

impl ExpireSubscriptions {
    /// Its name.
    pub const NAME: &'static str = "expire-subscriptions";

    /// The job over a database.
    #[must_use]
    pub fn new(database: DatabaseConnection) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Job for ExpireSubscriptions {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn interval(&self) -> Duration {
        HOUR
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(120),
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
        if run.clock_stepped_within(CLOCK_TRUSTED_AFTER) {
            tracing::warn!(slot = %run.slot, "the clock was set recently: no subscription \
                expires for now");
            let skipped = json!({"skipped": "the clock was set recently"});
            return run.finish(&self.database, &skipped).await;
        }
        let transaction = database::begin_write(&self.database).await?;
        let now = run.now(&transaction).await?;
        let deleted = subscriptions::delete_unconfirmed(&transaction, now).await?;
        let expired = subscriptions::expire(&transaction, now).await?;
        let forgotten = outbox::prune_messages(&transaction, now).await?;
        let throttles = outbox::prune_throttles(&transaction, now).await?;
        let lost = gap_upkeep::give_up_old(&transaction, now).await?;
        let gaps = gap_upkeep::prune(&transaction, now).await?;
        let outcome = json!({
            "unconfirmed": deleted,
            "expired": expired,
            "gaps": gaps,
            "messages": forgotten,
            "throttles": throttles,
        });
        run.finish(&transaction, &outcome).await?;
        transaction.commit().await?;
        if lost > 0 {
            tracing::warn!(slot = %run.slot, gaps = lost, "old gaps given up");
        }
        if deleted + expired + forgotten > 0 {
            tracing::info!(slot = %run.slot, %outcome, "subscriptions tended");
        }
        Ok(())
    }
}
