//! Outbox: messages, each to one address.

use std::fmt;

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

pub use super::subscriptions::ChannelKind;

/// Kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum DeliveryKind {
    /// One jump.
    Alert,
    /// Several jumps.
    Digest,
    /// Request to confirm a subscription (double opt-in).
    Confirmation,
    /// Link to the recipient's subscriptions.
    Manage,
    /// Test alert with made-up data.
    Test,
    /// Incident, to an operator.
    Incident,
}

impl fmt::Display for DeliveryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_value())
    }
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum DeliveryState {
    /// Not attempted yet.
    Pending,
    /// Leased by a worker until `lease_until`.
    Sending,
    /// Accepted by the server.
    Sent,
    /// Not sent; waits for its retry.
    Retry,
    /// Given up.
    Dead,
    /// The connection broke during transmission, so that it may have arrived. Retried a few times
    /// under the same Message-ID.
    Unknown,
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_value())
    }
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    /// A UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Kind of message.
    pub kind: DeliveryKind,
    /// Subscription; `None` for digests of several subscriptions and for operators.
    pub subscription_id: Option<String>,
    /// Channel.
    pub channel: ChannelKind,
    /// Mail address, or URL of the webhook.
    pub address: String,
    /// Content as JSON, for kinds other than alerts.
    pub content: Option<String>,
    /// Rendered bytes; cleared once sent.
    pub message: Option<Vec<u8>>,
    /// State.
    pub state: DeliveryState,
    /// Fencing token: rises with each claim.
    pub token: i64,
    /// Number of attempts.
    pub attempts: i32,
    /// Number of attempts with an unknown result.
    pub unknowns: i32,
    /// Time at which the running attempt began to transmit.
    pub transmit_started_at: Option<Millis>,
    /// Earliest time of the next attempt.
    pub not_before: Millis,
    /// End of the worker's lease; `None` if no worker holds it. Another worker takes it over once
    /// it has seen it unchanged for the length of a lease, whatever a clock says.
    pub lease_until: Option<Millis>,
    /// Error of the last failed attempt.
    pub error: Option<String>,
    /// Time of creation.
    pub created_at: Millis,
    /// Time at which it was sent or given up.
    pub finished_at: Option<Millis>,
    /// Left part of its Message-ID, derived from its content; set when it is first rendered.
    pub message_id: Option<String>,
    /// Recipient domain (`mail:example.com`) or host (`webhook:example.com:443`).
    pub destination: String,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
