//! Loads the rows that a delivery is about.

use std::collections::BTreeMap;

use marketlake_entities::records::deliveries::{DeliveryKind, Model};
use marketlake_entities::records::subscriptions::SubscriptionState;
use marketlake_entities::records::{alerts, delivery_alerts, evidence};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::context::MAX_DIGEST_ROWS;
use crate::error::AlertError;
use crate::queue::suppression_list;
use crate::rules::evidence::Evidence;
use crate::subscriptions::Subscription;
use crate::token::Keyring;

const BATCH_SIZE: usize = 500;

/// One alert with all that belongs to it.
pub(super) struct AlertDetails {
    pub(super) alert: alerts::Model,
    pub(super) subscription: Subscription,
    pub(super) evidence: Option<Evidence>,
}

/// Reason to send nothing any more, if any.
pub(super) async fn refusal(
    connection: &impl ConnectionTrait,
    delivery: &Model,
) -> Result<Option<String>, AlertError> {
    if delivery.kind != DeliveryKind::Incident
        && suppression_list::complained(connection, &delivery.address).await?
    {
        return Ok(Some("its recipient reported a mail as spam".to_owned()));
    }
    Ok(None)
}

/// The alerts that a delivery tells of.
pub(super) async fn members(
    connection: &impl ConnectionTrait,
    delivery: &Model,
) -> Result<Vec<alerts::Model>, AlertError> {
    if !matches!(delivery.kind, DeliveryKind::Alert | DeliveryKind::Digest) {
        return Ok(Vec::new());
    }
    let members = delivery_alerts::Entity::find()
        .filter(delivery_alerts::Column::DeliveryId.eq(delivery.id.as_str()))
        .all(connection)
        .await?;
    let ids: Vec<String> = members.into_iter().map(|member| member.alert_id).collect();
    let mut found = Vec::new();
    for chunk in ids.chunks(BATCH_SIZE) {
        let rows = alerts::Entity::find()
            .filter(alerts::Column::Id.is_in(chunk))
            .all(connection)
            .await?;
        found.extend(rows);
    }
    Ok(found)
}

/// Message id of a delivery. One that was rendered by a version without message ids has its
/// delivery's id in its bytes.
pub(super) fn message_id(delivery: &Model) -> &str {
    delivery.message_id.as_deref().unwrap_or(&delivery.id)
}

/// Identity of a message: of its kind, its address, and the alerts in it, or what else it is about.
/// Keys of rows are no part of it, since a minute that is evaluated again after a restore makes new
/// ones.
pub(super) fn identity(
    delivery: &Model,
    members: &[alerts::Model],
    keys: &Keyring,
) -> Result<String, AlertError> {
    let (kind, created) = (delivery.kind.to_string(), delivery.created_at.0.to_string());
    let mut alerts: Vec<[String; 3]> = members
        .iter()
        .map(|alert| {
            let ts = alert.ts.0.to_string();
            [alert.subscription_id.clone(), alert.metric.clone(), ts]
        })
        .collect();
    alerts.sort();
    let mut parts = vec![kind.as_str(), delivery.address.as_str()];
    if alerts.is_empty() {
        // Two requests are two messages: the time is part of their identity.
        parts.push(delivery.subscription_id.as_deref().unwrap_or_default());
        parts.push(delivery.content.as_deref().unwrap_or_default());
        parts.push(&created);
    }
    parts.extend(alerts.iter().flatten().map(String::as_str));
    keys.identity(parts)
}

/// Loads those alerts whose subscriptions have not ended, the largest first; those that are shown
/// with their evidence.
pub(super) async fn alerts(
    connection: &impl ConnectionTrait,
    found: Vec<alerts::Model>,
) -> Result<Vec<AlertDetails>, AlertError> {
    let mut subscriptions: BTreeMap<String, Option<Subscription>> = BTreeMap::new();
    let mut kept = Vec::new();
    for alert in found {
        if !subscriptions.contains_key(&alert.subscription_id) {
            let subscription = Subscription::find(connection, &alert.subscription_id).await?;
            let wanted = |s: &Subscription| {
                !matches!(
                    s.state,
                    SubscriptionState::Deleted | SubscriptionState::Suspended
                )
            };
            subscriptions.insert(alert.subscription_id.clone(), subscription.filter(wanted));
        }
        if let Some(Some(subscription)) = subscriptions.get(&alert.subscription_id) {
            kept.push((alert, subscription.clone()));
        }
    }
    kept.sort_by(|(a, _), (b, _)| {
        let by_ratio = b.ratio.total_cmp(&a.ratio);
        by_ratio.then_with(|| (a.ts, &a.metric, &a.id).cmp(&(b.ts, &b.metric, &b.id)))
    });
    // A mail with the rows of ten thousand jumps would be refused for its size.
    let evidence = evidence_of(connection, &kept[..kept.len().min(MAX_DIGEST_ROWS)]).await?;
    let gathered = kept.into_iter().map(|(alert, subscription)| AlertDetails {
        evidence: alert
            .evidence_id
            .as_ref()
            .and_then(|id| evidence.get(id).cloned()),
        alert,
        subscription,
    });
    Ok(gathered.collect())
}

async fn evidence_of(
    connection: &impl ConnectionTrait,
    alerts: &[(alerts::Model, Subscription)],
) -> Result<BTreeMap<String, Evidence>, AlertError> {
    let mut ids: Vec<&String> = alerts
        .iter()
        .filter_map(|(a, _)| a.evidence_id.as_ref())
        .collect();
    ids.sort();
    ids.dedup();
    let mut found = BTreeMap::new();
    for chunk in ids.chunks(BATCH_SIZE) {
        let rows = evidence::Entity::find()
            .filter(evidence::Column::Id.is_in(chunk.iter().copied()))
            .all(connection)
            .await?;
        for row in rows {
            found.insert(row.id.clone(), Evidence::from_row(&row)?);
        }
    }
    Ok(found)
}
