//! Payloads of alerts for channels other than mail: JSON that is posted to the endpoint.

use marketlake_entities::records::deliveries::{DeliveryKind, Model};
use marketlake_entities::records::subscriptions::ChannelKind;
use serde::Serialize;
use serde_json::{Value, json};

use super::load::message_id;
use super::proof::Proof;
use super::templates::Templates;
use crate::error::AlertError;

/// Renders the body of a delivery.
pub(super) fn render(
    delivery: &Model,
    templates: &Templates,
    context: &impl Serialize,
    proofs: &[Proof<'_>],
) -> Result<Vec<u8>, AlertError> {
    let body = match delivery.channel {
        ChannelKind::Slack => slack(&templates.text("slack.txt", context)?),
        ChannelKind::Mail | ChannelKind::Webhook => webhook(delivery, proofs),
    };
    serde_json::to_vec(&body).map_err(|error| AlertError::Message(error.into()))
}

/// Alerts with their evidence, for programs.
fn webhook(delivery: &Model, proofs: &[Proof<'_>]) -> Value {
    json!({
        "type": "jumps",
        "delivery": message_id(delivery),
        "test": delivery.kind == DeliveryKind::Test,
        "created": delivery.created_at.to_string(),
        "alerts": proofs,
    })
}

/// Message of Slack's incoming webhooks, in which three characters are escaped
/// (<https://docs.slack.dev/messaging/formatting-message-text>).
fn slack(text: &str) -> Value {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    json!({ "text": text })
}
