//! The outbox: deliveries are written in the transaction of the decision, claimed by one worker at
//! a time, and recorded.
//!
//! ```text
//!   pending ──> sending ──> sent
//!                 │ ├─────> retry ──> sending            surely not sent
//!                 │ ├─────> unknown ──> sending, or the end   it may have arrived
//!                 │ └─────> dead                         refused for good, expired, or its bytes cannot be made
//!                 └ lease ran out: before the bytes went over a retry, after that unknown
//! ```

mod attempt;
mod claim;
mod clock_repair;
mod counts;
pub(crate) mod enqueue_alerts;
mod finish;
mod gone;
mod lane_health;
mod lane_worker;
mod leases;
mod outcome;
mod outliers;
mod sender;
mod throttle;

use marketlake_model::Millis;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

pub use self::clock_repair::repair_backoffs;
pub use self::counts::SendCounts;
pub use self::enqueue_alerts::{
    DEFAULT_MAX_MAILS_PER_DAY, EnqueueOptions, MIN_DIGEST_ALERTS, NewAlert, enqueue_alerts,
};
pub use self::sender::{RETRY_FOR, SendRate, Sender};
pub use self::throttle::{
    Throttle, list_throttles, pause_sending, prune_throttles, resume_sending,
};
pub use crate::queue::TOO_OLD_REASON;
pub use crate::queue::admin::{DeliverySummary, count_dead, find, list, prune_messages, requeue};
pub use crate::queue::enqueue::{NewDelivery, enqueue};
pub use crate::queue::lane::Lane;

use crate::error::AlertError;

/// Whether any delivery waits to be sent at a time.
///
/// # Errors
/// If the database fails.
pub async fn is_due(database: &DatabaseConnection, now: Millis) -> Result<bool, AlertError> {
    let backend = database.get_database_backend();
    let due = claim::due_sql(now);
    let sql = format!("select d.id from deliveries d where {due} limit 1");
    let found = database
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    Ok(found.is_some())
}
