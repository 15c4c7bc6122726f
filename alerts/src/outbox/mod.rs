//! What waits to be sent: written in the transaction of the decision, handed out to one worker at a time, and recorded.
//!
//! ```text
//!   pending ──> sending ──> sent
//!                 │ ├─────> retry ──> sending            surely not sent
//!                 │ ├─────> unknown ──> sending, or the end   it may have arrived
//!                 │ └─────> dead                         refused for good, expired, or its bytes cannot be made
//!                 └ lease ran out: before the bytes went over a retry, after that unknown
//! ```

mod admin;
mod claim;
mod finish;
mod gone;
mod lane;
mod lane_health;
mod leases;
mod mend;
mod outliers;
mod sender;
mod tell;
mod throttle;

use marketlake_entities::records::deliveries::{self, ActiveModel, Kind, State};
use marketlake_entities::records::subscriptions::Channel;
use marketlake_model::Millis;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, Set, Statement};
use uuid::Uuid;

pub(crate) use admin::by_identity;
pub use admin::{Listed, dead, find, forget_messages, list, requeue};
pub use lane::Lane;
pub use mend::mend;
pub use sender::{Pace, RETRY_FOR, Round, Sender};
pub use tell::{DIGEST_FROM, MAILS_A_DAY, Telling, Told, tell};
pub use throttle::{Throttle, brake, brakes, forget_throttles, release};

use crate::AlertError;

/// How the reason begins where a delivery is given up because nobody wants it any more.
pub(crate) const NOT_WANTED: &str = "not wanted any more: ";
/// How the reason begins where an alert was too old when its minute was judged.
pub const TOO_OLD: &str = "expired: older than alerts.max_age";
/// How the reason begins where a delivery could not be made in time.
const EXPIRED: &str = "expired: not delivered within alerts.retry_for";

/// A message that is not about alerts.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What it says.
    pub kind: Kind,
    /// Whose subscription it is about.
    pub subscription_id: Option<String>,
    /// How it travels.
    pub channel: Channel,
    /// To whom.
    pub address: String,
    /// What it is about, as JSON.
    pub content: Option<String>,
}

impl Letter {
    /// A letter of a kind to somebody.
    #[must_use]
    pub fn new(kind: Kind, channel: Channel, address: &str) -> Self {
        Self {
            kind,
            subscription_id: None,
            channel,
            address: address.to_owned(),
            content: None,
        }
    }
}

/// Puts a letter into the outbox, within the caller's transaction. Returns the delivery's id.
///
/// # Errors
/// Where the database fails.
pub async fn post(
    connection: &impl ConnectionTrait,
    letter: Letter,
    now: Millis,
) -> Result<String, DbErr> {
    let row = ActiveModel {
        subscription_id: Set(letter.subscription_id),
        content: Set(letter.content),
        ..new_row(letter.kind, letter.channel, letter.address, now)
    };
    let id = row.id.clone().unwrap();
    deliveries::Entity::insert(row)
        .exec_without_returning(connection)
        .await?;
    Ok(id)
}

fn new_row(kind: Kind, channel: Channel, address: String, now: Millis) -> ActiveModel {
    ActiveModel {
        id: Set(Uuid::new_v4().to_string()),
        message_id: Set(None),
        destination: Set(lane::destination(channel, &address)),
        kind: Set(kind),
        subscription_id: Set(None),
        channel: Set(channel),
        address: Set(address),
        content: Set(None),
        message: Set(None),
        state: Set(State::Pending),
        token: Set(0),
        attempts: Set(0),
        unknowns: Set(0),
        transmit_started_at: Set(None),
        not_before: Set(now),
        lease_until: Set(None),
        error: Set(None),
        created_at: Set(now),
        finished_at: Set(None),
    }
}

/// Whether any delivery waits to be sent at a time.
///
/// # Errors
/// Where the database fails.
pub async fn is_due(database: &DatabaseConnection, now: Millis) -> Result<bool, AlertError> {
    let backend = database.get_database_backend();
    let due = claim::due_sql(now);
    let sql = format!("select d.id from deliveries d where {due} limit 1");
    let found = database
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    Ok(found.is_some())
}
