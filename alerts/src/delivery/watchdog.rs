//! Mails the operator when an incident begins and when it is over.

use marketlake_entities::database;
use marketlake_entities::records::deliveries::DeliveryKind;
use marketlake_entities::records::incidents::{ActiveModel, Column, Entity, Model};
use marketlake_entities::records::subscriptions::ChannelKind;
use marketlake_model::Millis;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseConnection, EntityTrait, NotSet, QueryFilter,
    QueryOrder, Set,
};
use serde_json::json;

pub use marketlake_entities::records::incidents::IncidentKind;

use crate::error::AlertError;
use crate::queue::enqueue::{NewDelivery, enqueue};

/// Something that is wrong at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Kind of incident.
    pub kind: IncidentKind,
    /// With what: a job's name, `all`. Findings of the same kind and subject are one incident.
    pub subject: String,
    /// Description for people.
    pub detail: String,
}

/// Counts of incidents that changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IncidentCounts {
    /// Incidents that began.
    pub opened: u64,
    /// Incidents that are over.
    pub closed: u64,
}

/// Compares what is wrong now with what was, records what began and what is over, and writes to the
/// operator of both; in one transaction.
///
/// # Errors
/// If the database fails.
pub async fn reconcile(
    database: &DatabaseConnection,
    findings: &[Finding],
    operator: Option<&str>,
    now: Millis,
) -> Result<IncidentCounts, AlertError> {
    let transaction = database::begin_write(database).await?;
    let open = Entity::find()
        .filter(Column::ClosedAt.is_null())
        .order_by_asc(Column::Id)
        .all(&transaction)
        .await?;
    let same =
        |row: &Model, finding: &Finding| row.kind == finding.kind && row.subject == finding.subject;
    let mut counts = IncidentCounts::default();
    let mut changed = Vec::new();
    for finding in findings {
        if open.iter().any(|row| same(row, finding)) {
            continue;
        }
        let row = ActiveModel {
            id: NotSet,
            kind: Set(finding.kind),
            subject: Set(finding.subject.clone()),
            detail: Set(finding.detail.clone()),
            opened_at: Set(now),
            closed_at: Set(None),
        };
        changed.push(row.insert(&transaction).await?);
        counts.opened += 1;
    }
    for row in open {
        if findings.iter().any(|finding| same(&row, finding)) {
            continue;
        }
        let mut row: ActiveModel = row.into();
        row.closed_at = Set(Some(now));
        changed.push(row.update(&transaction).await?);
        counts.closed += 1;
    }
    for row in &changed {
        tracing::warn!(
            incident = title(row),
            detail = row.detail,
            over = row.closed_at.is_some(),
            "incident"
        );
        if let Some(operator) = operator {
            let delivery = NewDelivery {
                content: Some(incident_context(row)),
                ..NewDelivery::new(DeliveryKind::Incident, ChannelKind::Mail, operator)
            };
            enqueue(&transaction, delivery, now).await?;
        }
    }
    transaction.commit().await?;
    Ok(counts)
}

fn title(row: &Model) -> String {
    match row.kind {
        IncidentKind::FeedStale if row.subject != "all" => {
            format!("the feed {} delivers no samples", row.subject)
        }
        IncidentKind::FeedStale => "no new minute comes in".to_owned(),
        IncidentKind::JobFailing => format!("the job {} keeps failing", row.subject),
        IncidentKind::DeliveriesFailing => "deliveries are given up".to_owned(),
    }
}

fn advice(kind: IncidentKind) -> &'static str {
    match kind {
        IncidentKind::FeedStale => {
            "whether a scheduler runs, what it logs about ingest-minute, and whether the exchange \
             answers. Until then rules are not evaluated: missing data neither fires nor resolves \
             an alert."
        }
        IncidentKind::JobFailing => {
            "jobRuns in GraphQL, or the log; a slot that has failed is done again by: marketlake \
             run JOB --slot TS"
        }
        IncidentKind::DeliveriesFailing => {
            "marketlake deliveries list --state dead; after the repair, send again with: \
             marketlake deliveries requeue ID"
        }
    }
}

fn incident_context(row: &Model) -> String {
    json!({
        "title": title(row),
        "detail": row.detail,
        "since": row.opened_at.to_string(),
        "over": row.closed_at.map(|at| at.to_string()),
        "advice": advice(row.kind),
    })
    .to_string()
}

/// An incident that never was.
pub(crate) fn sample_incident(now: Millis) -> String {
    incident_context(&Model {
        id: 0,
        kind: IncidentKind::FeedStale,
        subject: "all".to_owned(),
        detail: "the newest minute is 12 minutes old".to_owned(),
        opened_at: now,
        closed_at: None,
    })
}
