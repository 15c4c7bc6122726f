//! Incidents that the watchdog reports to operators.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// Kind of incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum IncidentKind {
    /// A feed delivers no new minutes.
    FeedStale,
    /// Slots of a job fail.
    JobFailing,
    /// Deliveries are given up.
    DeliveriesFailing,
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "incidents")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Kind.
    pub kind: IncidentKind,
    /// Feed, job or channel.
    pub subject: String,
    /// Description for people.
    pub detail: String,
    /// Time at which it was found.
    pub opened_at: Millis,
    /// Time at which it was over.
    pub closed_at: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
