//! Throttles: hold deliveries back, from one address to all of them. They are in the database, so
//! that every process respects them.
//!
//! A throttle that has run out stays as a count of failures until a delivery succeeds: meanwhile
//! its deliveries are tried one at a time, after those of healthy destinations.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use marketlake_common::backoff;
use marketlake_entities::records::deliveries::Model as Delivery;
use marketlake_entities::records::delivery_throttles::{ActiveModel, Column, Entity, Model};
use marketlake_model::Millis;
use parking_lot::Mutex;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::outliers::Outliers;
use crate::address::masked;
use crate::delivery::channels::ThrottleScope;
use crate::queue::lane::Lane;

/// The name of the throttle that holds everything: the operator's switch.
const EVERYTHING: &str = "all";
const NEVER: Millis = Millis(i64::MAX);
/// The longest that a receiver may request.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// The longest that any throttle but an operator's lasts.
pub(super) const MAX_THROTTLE_BACKOFF: Duration = MAX_RETRY_AFTER;
/// Time without a hit after which a throttle is deleted.
const TTL: Duration = Duration::from_secs(86_400);
/// Throttles that are listed at most.
const MAX_LISTED: u64 = 1_000;
/// Throttles that a process remembers at most.
const MAX_KNOWN: u64 = 100_000;
const MAX_REASON_LEN: usize = 500;

/// A throttle, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// `all`, a lane (`mail`, `webhook`), a destination (`mail:example.com`) or a masked address.
    pub name: String,
    /// No delivery begins before this instant.
    pub until: Millis,
    /// Failures in a row; 0 for an operator's.
    pub failures: i32,
    /// Last failure, or the operator's reason.
    pub reason: String,
}

impl From<Model> for Throttle {
    fn from(row: Model) -> Self {
        Self {
            name: match row.scope {
                ThrottleScope::Address => masked(&row.name),
                _ => row.name,
            },
            until: row.until,
            failures: row.failures,
            reason: row.reason,
        }
    }
}

/// Stops all deliveries until [`resume_sending`]d; nothing is lost by it but what expires
/// meanwhile.
///
/// # Errors
/// If the database fails.
pub async fn pause_sending(
    connection: &impl ConnectionTrait,
    reason: &str,
    now: Millis,
) -> Result<(), DbErr> {
    let key = (ThrottleScope::All, EVERYTHING.to_owned());
    set(connection, key, NEVER, 0, reason, now).await
}

/// Resumes all deliveries. `false` where they were not stopped.
///
/// # Errors
/// If the database fails.
pub async fn resume_sending(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let switch = Entity::delete_by_id((ThrottleScope::All, EVERYTHING.to_owned()));
    Ok(switch.exec(connection).await?.rows_affected == 1)
}

/// Throttles in force at a time, the widest first, at most a thousand.
///
/// # Errors
/// If the database fails.
pub async fn list_throttles(
    connection: &impl ConnectionTrait,
    now: Millis,
) -> Result<Vec<Throttle>, DbErr> {
    let mut rows = Entity::find()
        .filter(Column::Until.gt(now))
        .order_by_asc(Column::Name)
        .limit(MAX_LISTED)
        .all(connection)
        .await?;
    rows.sort_by(|a, b| (a.scope, &a.name).cmp(&(b.scope, &b.name)));
    Ok(rows.into_iter().map(Throttle::from).collect())
}

/// Forgets throttles that ran out a day ago. Returns how many.
///
/// # Errors
/// If the database fails.
pub async fn prune_throttles(connection: &impl ConnectionTrait, now: Millis) -> Result<u64, DbErr> {
    let result = Entity::delete_many()
        .filter(Column::Until.lt(now.minus(TTL)))
        .exec(connection)
        .await?;
    Ok(result.rows_affected)
}

pub(super) type Key = (ThrottleScope, String);

/// Whether a throttle holds a delivery back.
pub(super) fn is_held_by(delivery: &Delivery, held: &Key) -> bool {
    key(delivery, held.0) == *held
}

/// The throttle of a scope that holds a delivery back.
fn key(delivery: &Delivery, scope: ThrottleScope) -> Key {
    let name = match scope {
        ThrottleScope::All => EVERYTHING,
        ThrottleScope::Channel => Lane::of(delivery.channel).name(),
        ThrottleScope::Destination => &delivery.destination,
        ThrottleScope::Address => &delivery.address,
    };
    (scope, name.to_owned())
}

/// Throttles that a process knows of: those that it found in the database, and those that it set
/// since.
pub(super) struct Throttles {
    known: Mutex<HashSet<Key>>,
    pub(super) outliers: Arc<Outliers>,
}

impl Throttles {
    /// Those that are in the database, whether in force or run out.
    pub(super) async fn load(
        connection: &impl ConnectionTrait,
        outliers: Arc<Outliers>,
    ) -> Result<Self, DbErr> {
        let rows = Entity::find()
            .order_by_desc(Column::SetAt)
            .limit(MAX_KNOWN)
            .all(connection)
            .await?;
        let known = rows.into_iter().map(|row| (row.scope, row.name)).collect();
        let known = Mutex::new(known);
        Ok(Self { known, outliers })
    }

    /// Whether a lane's server has failed, and taken nothing since. One that takes connections may
    /// fail for some receivers only: that shows where many are tried.
    pub(super) fn has_lane(&self, lane: Lane) -> bool {
        let key = (ThrottleScope::Channel, lane.name().to_owned());
        self.known.lock().contains(&key) && !self.outliers.is_failing(lane)
    }

    /// Holds back what a failure concerns: each time in a row for longer, and for as long as the
    /// receiver requested, within an hour.
    pub(super) async fn set(
        &self,
        connection: &impl ConnectionTrait,
        delivery: &Delivery,
        cause: &Cause,
        now: Millis,
    ) -> Result<Key, DbErr> {
        let key = key(delivery, cause.scope);
        let row = Entity::find_by_id(key.clone()).one(connection).await?;
        // The first of the attempts that fail at the same time.
        let is_new = self.known.lock().insert(key.clone());
        let requested = cause.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        if row
            .as_ref()
            .is_some_and(|row| row.until >= now.plus(requested.max(Duration::from_millis(1))))
        {
            // Another connection got the same reply: it counts once.
            return Ok(key);
        }
        let failures = row.map_or(0, |row| row.failures).saturating_add(1);
        let longest = cause.max_backoff.unwrap_or(MAX_THROTTLE_BACKOFF);
        let pause = pause(cause.scope, failures).min(longest).max(requested);
        let until = now.plus(pause);
        set(connection, key.clone(), until, failures, &cause.reason, now).await?;
        if is_new && failures == 1 && is_outage(key.0) {
            let (receiver, cause) = (&key.1, &cause.reason);
            tracing::warn!(
                receiver,
                cause,
                "outage of a receiver begins: deliveries wait"
            );
        }
        Ok(key)
    }

    /// Ends the throttles of some scopes that have just shown that they are well.
    pub(super) async fn clear(
        &self,
        connection: &impl ConnectionTrait,
        delivery: &Delivery,
        scopes: &[ThrottleScope],
    ) -> Result<(), DbErr> {
        let keys: Vec<Key> = {
            let mut known = self.known.lock();
            let keys = scopes.iter().map(|scope| key(delivery, *scope));
            keys.filter(|key| known.remove(key)).collect()
        };
        for key in keys {
            let cleared = Entity::delete_by_id(key.clone()).exec(connection).await?;
            if cleared.rows_affected > 0 && is_outage(key.0) {
                let receiver = &key.1;
                tracing::warn!(receiver, "outage of a receiver ended: deliveries resume");
            }
        }
        Ok(())
    }
}

/// Whether what is throttled serves many: a server, a domain or a host.
pub(super) fn is_outage(scope: ThrottleScope) -> bool {
    matches!(scope, ThrottleScope::Channel | ThrottleScope::Destination)
}

/// A failure that concerns more than one delivery.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) scope: ThrottleScope,
    pub(super) reason: String,
    pub(super) retry_after: Option<Duration>,
    /// The longest pause, where it is not its scope's.
    pub(super) max_backoff: Option<Duration>,
}

/// Between half and all of the initial pause, doubled with each failure up to the longest.
fn pause(scope: ThrottleScope, failures: i32) -> Duration {
    let (initial, max) = match scope {
        ThrottleScope::All | ThrottleScope::Channel => (1, 300),
        ThrottleScope::Destination => (5, 600),
        ThrottleScope::Address => (30, 3_600),
    };
    let failures = u32::try_from(failures).unwrap_or(1);
    let chance = 0.5 + rand::random::<f64>() / 2.0;
    backoff(
        Duration::from_secs(initial),
        Duration::from_secs(max),
        failures,
        chance,
    )
}

async fn set(
    connection: &impl ConnectionTrait,
    (scope, name): Key,
    until: Millis,
    failures: i32,
    reason: &str,
    now: Millis,
) -> Result<(), DbErr> {
    let row = ActiveModel {
        scope: Set(scope),
        name: Set(name),
        until: Set(until),
        failures: Set(failures),
        reason: Set(reason.chars().take(MAX_REASON_LEN).collect()),
        set_at: Set(now),
    };
    let replace = OnConflict::columns([Column::Scope, Column::Name])
        .update_columns([
            Column::Until,
            Column::Failures,
            Column::Reason,
            Column::SetAt,
        ])
        .to_owned();
    Entity::insert(row)
        .on_conflict(replace)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}
