//! Alert history of a subscription, for its owner.

use std::collections::HashMap;

use marketlake_entities::records::{alert_notes, alerts, deliveries, delivery_alerts, transitions};
use marketlake_model::Millis;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::error::AlertError;

/// An alert that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct PastAlert {
    /// Its key.
    pub id: String,
    /// The metric.
    pub metric: String,
    /// The minute.
    pub ts: Millis,
    /// The value, as decimal text.
    pub value: String,
    /// The mean that it was compared with.
    pub mean: f64,
    /// Value over mean.
    pub ratio: f64,
    /// State of its delivery.
    pub delivery: Option<deliveries::DeliveryState>,
}

/// A change of state of one metric, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// The metric.
    pub metric: String,
    /// The minute.
    pub ts: Millis,
    /// The state before.
    pub from: transitions::RuleStatus,
    /// The state after.
    pub to: transitions::RuleStatus,
    /// Reason, for people.
    pub reason: String,
}

/// Change that a late or corrected sample would have made.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The metric.
    pub metric: String,
    /// The minute.
    pub ts: Millis,
    /// The difference.
    pub verdict: alert_notes::Verdict,
    /// Value over mean, as they are known now.
    pub ratio: f64,
}

/// The newest alerts of a subscription.
///
/// # Errors
/// If the database fails.
pub async fn alerts(
    connection: &impl ConnectionTrait,
    id: &str,
    max: u64,
) -> Result<Vec<PastAlert>, AlertError> {
    let rows = alerts::Entity::find()
        .filter(alerts::Column::SubscriptionId.eq(id))
        .order_by_desc(alerts::Column::Ts)
        .order_by_asc(alerts::Column::Metric)
        .limit(max)
        .all(connection)
        .await?;
    let states = deliveries_of(connection, &rows).await?;
    let past = rows.into_iter().map(|row| past(row, &states));
    Ok(past.collect())
}

/// One alert, and the id of its subscription.
///
/// # Errors
/// If the database fails.
pub async fn alert(
    connection: &impl ConnectionTrait,
    id: &str,
) -> Result<Option<(String, PastAlert)>, AlertError> {
    let Some(row) = alerts::Entity::find_by_id(id).one(connection).await? else {
        return Ok(None);
    };
    let rows = [row];
    let states = deliveries_of(connection, &rows).await?;
    let [row] = rows;
    Ok(Some((row.subscription_id.clone(), past(row, &states))))
}

fn past(row: alerts::Model, states: &HashMap<String, deliveries::DeliveryState>) -> PastAlert {
    PastAlert {
        delivery: states.get(&row.id).copied(),
        id: row.id,
        metric: row.metric,
        ts: row.ts,
        value: row.value,
        mean: row.mean,
        ratio: row.ratio,
    }
}

/// If the deliveries of alerts stand, by the alerts' ids.
async fn deliveries_of(
    connection: &impl ConnectionTrait,
    rows: &[alerts::Model],
) -> Result<HashMap<String, deliveries::DeliveryState>, DbErr> {
    let alerts = rows.iter().map(|row| row.id.as_str());
    let members = delivery_alerts::Entity::find()
        .filter(delivery_alerts::Column::AlertId.is_in(alerts))
        .all(connection)
        .await?;
    let ids = members.iter().map(|member| member.delivery_id.as_str());
    let deliveries = deliveries::Entity::find()
        .filter(deliveries::Column::Id.is_in(ids))
        .all(connection)
        .await?;
    let states: HashMap<&str, deliveries::DeliveryState> = deliveries
        .iter()
        .map(|delivery| (delivery.id.as_str(), delivery.state))
        .collect();
    let known = members.iter().filter_map(|member| {
        let state = states.get(member.delivery_id.as_str())?;
        Some((member.alert_id.clone(), *state))
    });
    Ok(known.collect())
}

/// The newest changes of state of a subscription's metrics, and why they changed.
///
/// # Errors
/// If the database fails.
pub async fn whys(
    connection: &impl ConnectionTrait,
    id: &str,
    max: u64,
) -> Result<Vec<Why>, AlertError> {
    let rows = transitions::Entity::find()
        .filter(transitions::Column::SubscriptionId.eq(id))
        .order_by_desc(transitions::Column::Ts)
        .order_by_asc(transitions::Column::Metric)
        .limit(max)
        .all(connection)
        .await?;
    let whys = rows.into_iter().map(|row| Why {
        metric: row.metric,
        ts: row.ts,
        from: row.from_state,
        to: row.to_state,
        reason: row.reason,
    });
    Ok(whys.collect())
}

/// The newest notes about a subscription.
///
/// # Errors
/// If the database fails.
pub async fn notes(
    connection: &impl ConnectionTrait,
    id: &str,
    max: u64,
) -> Result<Vec<Note>, AlertError> {
    let rows = alert_notes::Entity::find()
        .filter(alert_notes::Column::SubscriptionId.eq(id))
        .order_by_desc(alert_notes::Column::Ts)
        .limit(max)
        .all(connection)
        .await?;
    let notes = rows.into_iter().map(|row| Note {
        metric: row.metric,
        ts: row.ts,
        verdict: row.verdict,
        ratio: row.ratio,
    });
    Ok(notes.collect())
}
