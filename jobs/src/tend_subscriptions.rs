//! `expire-subscriptions`: deletes what nobody confirmed, ends what has run out, and lets go of old messages. Each hour.

use std::time::Duration;

use async_trait::async_trait;
use marketlake_alerts::{outbox, subscription};
use marketlake_entities::database;
use sea_orm::DatabaseConnection;
use serde_json::json;

use crate::vacuum::CLOCK_TRUSTED_AFTER;
use crate::{Due, Job, JobError, Moment, Policy, Run};

/// The job. It leaves: no subscription that is pending for over seven days, none in force whose last day is over.
pub struct TendSubscriptions {
    database: DatabaseConnection,
}

impl TendSubscriptions {
    /// Its name.
    pub const NAME: &'static str = "expire-subscriptions";

    /// The job over a database.
    #[must_use]
    pub fn new(database: DatabaseConnection) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Job for TendSubscriptions {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(120),
            attempts: 3,
            waits_for: &[],
        }
    }

    /// The running hour by the clock; hours that passed need none of their own.
    async fn due(&self, moment: Moment) -> Result<Vec<Due>, JobError> {
        Ok(vec![Due::pending(moment.now.minute().hour().start())])
    }

    async fn run(&self, run: &Run) -> Result<(), JobError> {
        if run.clock_stepped_within(CLOCK_TRUSTED_AFTER) {
            tracing::warn!(slot = %run.slot, "the clock was set lately: no subscription is ended by its age");
            let skipped = json!({"skipped": "the clock was set lately"});
            return run.finish(&self.database, &skipped).await;
        }
        let transaction = database::begin_write(&self.database).await?;
        let now = run.now(&transaction).await?;
        let deleted = subscription::delete_unconfirmed(&transaction, now).await?;
        let expired = subscription::expire(&transaction, now).await?;
        let forgotten = outbox::forget_messages(&transaction, now).await?;
        let throttles = outbox::forget_throttles(&transaction, now).await?;
        let outcome = json!({
            "unconfirmed": deleted, "expired": expired, "messages": forgotten, "throttles": throttles,
        });
        run.finish(&transaction, &outcome).await?;
        transaction.commit().await?;
        if deleted + expired + forgotten > 0 {
            tracing::info!(slot = %run.slot, %outcome, "subscriptions tended");
        }
        Ok(())
    }
}
