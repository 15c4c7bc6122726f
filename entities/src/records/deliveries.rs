//! A message on its way to one address: the outbox.

use std::fmt;

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

pub use super::subscriptions::Channel;

/// What a delivery says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Kind {
    /// One jump.
    Alert,
    /// Several jumps.
    Digest,
    /// Please confirm your subscription.
    Confirmation,
    /// Here is the link to your subscriptions.
    Manage,
    /// This is how an alert will look.
    Test,
    /// An operator ought to look.
    Incident,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_value())
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum State {
    /// Not tried yet.
    Pending,
    /// A worker is at it until `lease_until`.
    Sending,
    /// The server took it.
    Sent,
    /// Surely not sent; to be tried again.
    Retry,
    /// Given up.
    Dead,
    /// The connection broke after the mail was handed over: nobody can know. Tried again under the same Message-ID, a few times.
    Unknown,
}

impl fmt::Display for State {
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
    /// What it says.
    pub kind: Kind,
    /// Whose it is; `None` for digests of many subscriptions and for operators.
    pub subscription_id: Option<String>,
    /// How it travels.
    pub channel: Channel,
    /// To whom: a mail address, or an address of the web.
    pub address: String,
    /// What it is about, as JSON, where that is not its alerts.
    pub content: Option<String>,
    /// Its bytes, rendered once; gone when it has ended well.
    pub message: Option<Vec<u8>>,
    /// Where it stands.
    pub state: State,
    /// The fencing token: rises with each claim.
    pub token: i64,
    /// How many times it was tried.
    pub attempts: i32,
    /// How many of those attempts may have arrived though nobody can know.
    pub unknowns: i32,
    /// When the attempt that runs began to hand the bytes over.
    pub handed_at: Option<Millis>,
    /// Not to be tried before this instant.
    pub not_before: Millis,
    /// End of the lease of the worker that is at it; without one it is nobody's. It is taken over
    /// once it was seen unchanged for its time, whatever a clock says.
    pub lease_until: Option<Millis>,
    /// What went wrong at the last attempt that failed.
    pub error: Option<String>,
    /// When it was decided.
    pub created_at: Millis,
    /// When it ended, as sent or dead.
    pub finished_at: Option<Millis>,
    /// The left part of its Message-ID, derived from what it says; set when it is first rendered.
    pub message_id: Option<String>,
    /// The recipient domain (`mail:example.com`) or host (`webhook:example.com:443`).
    pub destination: String,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
