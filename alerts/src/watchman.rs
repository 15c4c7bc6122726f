//! Tells an operator by mail what is wrong, once when it begins and once when it is over.

use marketlake_entities::database;
use marketlake_entities::records::deliveries::Kind as DeliveryKind;
use marketlake_entities::records::incidents::{ActiveModel, Column, Entity, Model};
use marketlake_model::Millis;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseConnection, EntityTrait, NotSet, QueryFilter,
    QueryOrder, Set,
};
use serde_json::json;

pub use marketlake_entities::records::incidents::Kind;

use crate::AlertError;
use crate::outbox::{self, Letter};
use crate::subscription::Channel;

/// Something that is wrong at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// With what: a job's name, `all`. Findings of the same kind and subject are one incident.
    pub subject: String,
    /// How it looks, for people.
    pub detail: String,
}

/// What changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Incidents that began.
    pub opened: u64,
    /// Incidents that are over.
    pub closed: u64,
}

/// Compares what is wrong now with what was, records what began and what is over, and writes to the operator of both; in one transaction.
///
/// # Errors
/// Where the database fails.
pub async fn settle(
    database: &DatabaseConnection,
    findings: &[Finding],
    operator: Option<&str>,
    now: Millis,
) -> Result<Settled, AlertError> {
    let transaction = database::begin_write(database).await?;
    let open = Entity::find()
        .filter(Column::ClosedAt.is_null())
        .order_by_asc(Column::Id)
        .all(&transaction)
        .await?;
    let same =
        |row: &Model, finding: &Finding| row.kind == finding.kind && row.subject == finding.subject;
    let mut settled = Settled::default();
    let mut told = Vec::new();
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
        told.push(row.insert(&transaction).await?);
        settled.opened += 1;
    }
    for row in open {
        if findings.iter().any(|finding| same(&row, finding)) {
            continue;
        }
        let mut row: ActiveModel = row.into();
        row.closed_at = Set(Some(now));
        told.push(row.update(&transaction).await?);
        settled.closed += 1;
    }
    for row in &told {
        tracing::warn!(
            incident = title(row),
            detail = row.detail,
            over = row.closed_at.is_some(),
            "incident"
        );
        if let Some(operator) = operator {
            let letter = Letter {
                content: Some(story(row)),
                ..Letter::new(DeliveryKind::Incident, Channel::Mail, operator)
            };
            outbox::post(&transaction, letter, now).await?;
        }
    }
    transaction.commit().await?;
    Ok(settled)
}

fn title(row: &Model) -> String {
    match row.kind {
        Kind::FeedStale if row.subject != "all" => {
            format!("the feed {} gives nothing", row.subject)
        }
        Kind::FeedStale => "no new minute comes in".to_owned(),
        Kind::JobFailing => format!("the job {} keeps failing", row.subject),
        Kind::DeliveriesFailing => "deliveries are given up".to_owned(),
    }
}

fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::FeedStale => {
            "whether a scheduler runs, what it logs about ingest-minute, and whether the exchange answers. Jumps are not judged meanwhile: no data neither fires nor resolves."
        }
        Kind::JobFailing => {
            "jobRuns in GraphQL, or the log; a slot that has failed is done again by: marketlake run JOB --slot TS"
        }
        Kind::DeliveriesFailing => {
            "marketlake deliveries list --state dead; what is mended goes out again by: marketlake deliveries requeue ID"
        }
    }
}

fn story(row: &Model) -> String {
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
pub(crate) fn example(now: Millis) -> String {
    story(&Model {
        id: 0,
        kind: Kind::FeedStale,
        subject: "all".to_owned(),
        detail: "the newest minute is 12 minutes old".to_owned(),
        opened_at: now,
        closed_at: None,
    })
}
