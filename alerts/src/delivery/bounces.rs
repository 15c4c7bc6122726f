//! Processes bounces and complaints: RFC 3464 delivery-status notices, RFC 5965 abuse reports, and
//! SES notifications (<https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html>).
//! Any client can post here, so a notice must carry the signed return address of its mail.

use std::time::Duration;

use mail_parser::{MessageParser, MimeHeaders, PartType};
use marketlake_entities::database;
use marketlake_entities::records::bounces::{self, BounceKind};
use marketlake_entities::records::deliveries::{self, DeliveryKind};
use marketlake_entities::records::subscriptions::{self, SubscriptionState};
use marketlake_entities::records::suppressions::SuppressionState;
use marketlake_model::Millis;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, NotSet, PaginatorTrait,
    QueryFilter, Set,
};
use serde::Deserialize;

use crate::error::AlertError;
use crate::queue::{admin, suppression_list};
use crate::subscriptions::lifecycle::{Transition, apply_transition};
use crate::token::{Keyring, TokenError};

/// Soft notices within [`SOFT_BOUNCE_WINDOW`] that suspend an address too.
const MAX_SOFT_BOUNCES: u64 = 5;
const SOFT_BOUNCE_WINDOW: Duration = Duration::from_secs(7 * 86_400);

/// Error of a notice that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BounceError {
    /// It cannot be read.
    #[error("expected a delivery-status notice, an abuse report or an SES notification: {0}")]
    Unreadable(String),
    /// It names no mail of ours, or one whose name was made up.
    #[error("expected a return address of a mail from this server: {0}")]
    NotOurs(TokenError),
}

/// A notice about one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Notice {
    return_paths: Vec<String>,
    kind: BounceKind,
    status: String,
    detail: String,
}

/// Outcome of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BounceOutcome {
    /// It was recorded, and suspended or ended this number of subscriptions.
    Recorded(u64),
    /// It says nothing bad, or nothing new.
    Nothing,
}

/// Takes a notice as a mail: a delivery-status notice or an abuse report.
///
/// # Errors
/// If the database fails. A notice that is not taken is the inner error; nothing is changed then.
pub async fn process_mail(
    database: &DatabaseConnection,
    raw: &[u8],
    now: Millis,
) -> Result<Result<BounceOutcome, BounceError>, AlertError> {
    match of_mail(raw) {
        Ok(Some(notice)) => record(database, notice, now).await,
        Ok(None) => Ok(Ok(BounceOutcome::Nothing)),
        Err(error) => Ok(Err(error)),
    }
}

/// Takes a notification of SES, as JSON.
///
/// # Errors
/// If the database fails. A notice that is not taken is the inner error; nothing is changed then.
pub async fn process_ses(
    database: &DatabaseConnection,
    raw: &[u8],
    now: Millis,
) -> Result<Result<BounceOutcome, BounceError>, AlertError> {
    match of_ses(raw) {
        Ok(Some(notice)) => record(database, notice, now).await,
        Ok(None) => Ok(Ok(BounceOutcome::Nothing)),
        Err(error) => Ok(Err(error)),
    }
}

fn unreadable(reason: impl ToString) -> BounceError {
    BounceError::Unreadable(reason.to_string())
}

fn of_mail(raw: &[u8]) -> Result<Option<Notice>, BounceError> {
    let message = MessageParser::default()
        .parse(raw)
        .ok_or_else(|| unreadable("it is no mail"))?;
    let mut return_paths: Vec<String> = message
        .all_to()
        .flat_map(|to| to.iter())
        .filter_map(|to| to.address().map(str::to_owned))
        .collect();
    let mut found = None;
    for part in &message.parts {
        let kind = part.content_type().map(|kind| {
            let subtype = kind.subtype().unwrap_or_default();
            format!("{}/{subtype}", kind.ctype()).to_lowercase()
        });
        let text = match &part.body {
            PartType::Text(text) => text.to_string(),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            _ => continue,
        };
        match kind.as_deref() {
            Some("message/delivery-status" | "message/global-delivery-status") => {
                found = Some(delivery_status(&text)?);
            }
            Some("message/feedback-report") => {
                if let Some(from) = field(&text, "Original-Mail-From") {
                    return_paths.push(from.trim_matches(['<', '>']).to_owned());
                }
                let what = field(&text, "Feedback-Type").unwrap_or_default();
                let detail = format!("feedback report: {what}");
                found = Some(Some((BounceKind::Complaint, what, detail)));
            }
            _ => (),
        }
    }
    let found =
        found.ok_or_else(|| unreadable("it has no part with the delivery status of a mail"))?;
    Ok(found.map(|(kind, status, detail)| Notice {
        return_paths,
        kind,
        status,
        detail,
    }))
}

/// A field's value, folded lines joined.
fn field(text: &str, name: &str) -> Option<String> {
    let mut found: Option<String> = None;
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some(value) = &mut found {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if found.is_some() {
            break;
        } else if let Some((key, value)) = line.split_once(':')
            && key.trim().eq_ignore_ascii_case(name)
        {
            found = Some(value.trim().to_owned());
        }
    }
    found
}

/// `None` where it says that nothing failed.
fn delivery_status(text: &str) -> Result<Option<(BounceKind, String, String)>, BounceError> {
    let action = field(text, "Action").ok_or_else(|| unreadable("expected Action"))?;
    if !action.eq_ignore_ascii_case("failed") {
        return Ok(None);
    }
    let status = field(text, "Status").ok_or_else(|| unreadable("expected Status"))?;
    let status = status
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned();
    let detail = field(text, "Diagnostic-Code").unwrap_or_else(|| "no word".to_owned());
    Ok(Some((hardness(&status), status, detail)))
}

/// RFC 3463: 5.x.x is for good, but for a full mailbox and a server that cannot be found.
fn hardness(status: &str) -> BounceKind {
    if status.starts_with("5.") && status != "5.2.2" && status != "5.4.4" {
        BounceKind::Hard
    } else {
        BounceKind::Soft
    }
}

#[derive(Deserialize)]
struct Sns {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ses {
    #[serde(alias = "eventType")]
    notification_type: String,
    mail: SesMail,
    bounce: Option<SesBounce>,
    complaint: Option<SesComplaint>,
}

#[derive(Deserialize)]
struct SesMail {
    source: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SesBounce {
    bounce_type: String,
    #[serde(default)]
    bounced_recipients: Vec<SesRecipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SesRecipient {
    status: Option<String>,
    diagnostic_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SesComplaint {
    complaint_feedback_type: Option<String>,
}

fn of_ses(raw: &[u8]) -> Result<Option<Notice>, BounceError> {
    let inner = match serde_json::from_slice::<Sns>(raw) {
        Ok(sns) if sns.kind == "SubscriptionConfirmation" => {
            // A link that a stranger posts is never followed; an operator can check it.
            tracing::warn!(
                url = sns.subscribe_url,
                "an SNS topic requests a subscription: open this link if the topic is yours"
            );
            return Ok(None);
        }
        Ok(sns) => sns
            .message
            .ok_or_else(|| unreadable("the envelope has no Message"))?
            .into_bytes(),
        Err(_) => raw.to_vec(),
    };
    let ses: Ses = serde_json::from_slice(&inner).map_err(unreadable)?;
    let (kind, status, detail) = match (ses.notification_type.as_str(), ses.bounce, ses.complaint) {
        ("Bounce", Some(bounce), _) => {
            let kind = if bounce.bounce_type == "Permanent" {
                BounceKind::Hard
            } else {
                BounceKind::Soft
            };
            let first = bounce.bounced_recipients.into_iter().next();
            let (status, said) = first.map_or((None, None), |r| (r.status, r.diagnostic_code));
            (
                kind,
                status.unwrap_or(bounce.bounce_type),
                said.unwrap_or_else(|| "no word".to_owned()),
            )
        }
        ("Complaint", _, complaint) => {
            let what = complaint.and_then(|c| c.complaint_feedback_type);
            let what = what.unwrap_or_else(|| "complaint".to_owned());
            (
                BounceKind::Complaint,
                what.clone(),
                format!("SES complaint: {what}"),
            )
        }
        ("Bounce", None, _) => return Err(unreadable("a Bounce without a bounce")),
        _ => return Ok(None),
    };
    Ok(Some(Notice {
        return_paths: vec![ses.mail.source],
        kind,
        status,
        detail,
    }))
}

async fn record(
    database: &DatabaseConnection,
    notice: Notice,
    now: Millis,
) -> Result<Result<BounceOutcome, BounceError>, AlertError> {
    let keys = Keyring::load(database, now).await?;
    let mut wrong = TokenError::Malformed;
    let mut ours = None;
    for path in &notice.return_paths {
        match keys.returned(path.split('@').next().unwrap_or_default()) {
            Ok(identity) => ours = Some(identity),
            Err(error) if wrong == TokenError::Malformed => wrong = error,
            Err(_) => (),
        }
    }
    let Some(identity) = ours else {
        return Ok(Err(BounceError::NotOurs(wrong)));
    };
    let transaction = database::begin_write(database).await?;
    let delivery = admin::find_by_message_id(&transaction, &identity).await?;
    let Some(delivery) = delivery else {
        return Ok(Err(BounceError::NotOurs(TokenError::UnknownKey)));
    };
    if !write(&transaction, &notice, &delivery, now).await? {
        return Ok(Ok(BounceOutcome::Nothing));
    }
    let touched = if delivery.kind == DeliveryKind::Incident {
        0
    } else {
        act(&transaction, &notice, &delivery.address, now).await?
    };
    transaction.commit().await?;
    Ok(Ok(BounceOutcome::Recorded(touched)))
}

/// Whether it is new.
async fn write(
    connection: &impl ConnectionTrait,
    notice: &Notice,
    delivery: &deliveries::Model,
    now: Millis,
) -> Result<bool, AlertError> {
    use bounces::Column;
    let cut = |text: &str, max| text.chars().take(max).collect::<String>();
    let row = bounces::ActiveModel {
        id: NotSet,
        address: Set(delivery.address.clone()),
        delivery_id: Set(delivery.id.clone()),
        kind: Set(notice.kind),
        status: Set(cut(&notice.status, 40)),
        detail: Set(cut(&notice.detail, 500)),
        created_at: Set(now),
    };
    let once = OnConflict::columns([Column::DeliveryId, Column::Kind, Column::Status])
        .do_nothing()
        .to_owned();
    let written = bounces::Entity::insert_many([row])
        .on_conflict(once)
        .exec_without_returning(connection)
        .await?;
    Ok(written == 1)
}

/// Suspends on a hard or enough soft bounces, ends on a complaint. Returns the count affected.
async fn act(
    connection: &impl ConnectionTrait,
    notice: &Notice,
    address: &str,
    now: Millis,
) -> Result<u64, AlertError> {
    let reason = format!("{} {}", notice.status, notice.detail);
    let (state, change) = match notice.kind {
        BounceKind::Complaint => {
            let change = Transition::Unsubscribe("its owner reported a mail as spam");
            (SuppressionState::Complained, change)
        }
        BounceKind::Soft if softs(connection, address, now).await? < MAX_SOFT_BOUNCES => {
            return Ok(0);
        }
        BounceKind::Hard | BounceKind::Soft => {
            let change = Transition::Suspend(format!("mail did not arrive: {reason}"));
            (SuppressionState::Suspended, change)
        }
    };
    suppression_list::remember(connection, address, state, &reason, now).await?;
    let mut concerned = subscriptions::Entity::find()
        .filter(subscriptions::Column::Address.eq(address))
        .filter(subscriptions::Column::State.ne(SubscriptionState::Deleted));
    if notice.kind != BounceKind::Complaint {
        let told = [SubscriptionState::Active, SubscriptionState::Paused];
        concerned = concerned.filter(subscriptions::Column::State.is_in(told));
    }
    let mut touched = 0;
    for row in concerned.all(connection).await? {
        touched += u64::from(
            apply_transition(connection, &row.id, &change, now)
                .await?
                .is_ok(),
        );
    }
    Ok(touched)
}

async fn softs(
    connection: &impl ConnectionTrait,
    address: &str,
    now: Millis,
) -> Result<u64, AlertError> {
    let count = bounces::Entity::find()
        .filter(bounces::Column::Address.eq(address))
        .filter(bounces::Column::Kind.eq(BounceKind::Soft))
        .filter(bounces::Column::CreatedAt.gt(now.minus(SOFT_BOUNCE_WINDOW)))
        .count(connection)
        .await?;
    Ok(count)
}
