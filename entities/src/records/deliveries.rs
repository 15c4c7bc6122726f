//! One alert on its way to one address: the outbox.

use sea_orm::entity::prelude::*;

use crate::Millis;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
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
    /// The connection broke after the mail was handed over: nobody can know. Tried once more under
    /// the same Message-ID.
    Unknown,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    /// A UUID; the mail's Message-ID is made of it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// What is delivered.
    #[sea_orm(unique)]
    pub alert_id: String,
    /// To whom.
    pub address: String,
    /// Where it stands.
    pub state: State,
    /// The fencing token: rises with each claim.
    pub token: i64,
    /// How many times it was tried.
    pub attempts: i32,
    /// Not to be tried before this instant.
    pub not_before: Millis,
    /// Until when a worker holds it, by the database's clock.
    pub lease_until: Option<Millis>,
    /// What went wrong at the last attempt that failed.
    pub error: Option<String>,
    /// When it was decided.
    pub created_at: Millis,
    /// When it ended, as sent or dead.
    pub finished_at: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
