//! Reads what a delivery is about.

use std::collections::BTreeMap;

use marketlake_entities::records::deliveries::{Kind, Model};
use marketlake_entities::records::{alerts, delivery_alerts, evidence};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::story::SHOWN;
use crate::evidence::Evidence;
use crate::subscription::State;
use crate::{AlertError, Subscription, recipients};

const CHUNK: usize = 500;

/// One alert with all that belongs to it.
pub(super) struct Gathered {
    pub(super) alert: alerts::Model,
    pub(super) subscription: Subscription,
    pub(super) evidence: Option<Evidence>,
}

/// Why nothing is to be sent any more, if so.
pub(super) async fn refusal(
    connection: &impl ConnectionTrait,
    delivery: &Model,
) -> Result<Option<String>, AlertError> {
    if delivery.kind != Kind::Incident
        && recipients::complained(connection, &delivery.address).await?
    {
        return Ok(Some("its receiver wants no mail".to_owned()));
    }
    Ok(None)
}

/// The alerts of a delivery whose subscriptions have not ended, the largest first; those that are shown with their evidence.
pub(super) async fn alerts(
    connection: &impl ConnectionTrait,
    delivery: &Model,
) -> Result<Vec<Gathered>, AlertError> {
    let members = delivery_alerts::Entity::find()
        .filter(delivery_alerts::Column::DeliveryId.eq(delivery.id.as_str()))
        .all(connection)
        .await?;
    let ids: Vec<String> = members.into_iter().map(|member| member.alert_id).collect();
    let mut found = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let rows = alerts::Entity::find()
            .filter(alerts::Column::Id.is_in(chunk))
            .all(connection)
            .await?;
        found.extend(rows);
    }
    let mut subscriptions: BTreeMap<String, Option<Subscription>> = BTreeMap::new();
    let mut kept = Vec::new();
    for alert in found {
        if !subscriptions.contains_key(&alert.subscription_id) {
            let subscription = Subscription::find(connection, &alert.subscription_id).await?;
            let wanted = |s: &Subscription| !matches!(s.state, State::Deleted | State::Suspended);
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
    let evidence = evidence_of(connection, &kept[..kept.len().min(SHOWN)]).await?;
    let gathered = kept.into_iter().map(|(alert, subscription)| Gathered {
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
    for chunk in ids.chunks(CHUNK) {
        let rows = evidence::Entity::find()
            .filter(evidence::Column::Id.is_in(chunk.iter().copied()))
            .all(connection)
            .await?;
        for row in rows {
            found.insert(row.id.clone(), Evidence::of_row(&row)?);
        }
    }
    Ok(found)
}
