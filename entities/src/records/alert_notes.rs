//! Findings of later reviews: alerts that a late or corrected sample would have added or removed.
//! Alerts that were sent stay as they are.

use std::fmt;

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// Difference between the review and what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Verdict {
    /// No alert was sent; with the corrected samples there would be one.
    WouldHaveFired,
    /// An alert was sent; with the corrected samples there would be none.
    WouldNotHaveFired,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WouldHaveFired => "would have fired",
            Self::WouldNotHaveFired => "would not have fired",
        })
    }
}

/// A finding; unique by (subscription, metric, minute, verdict).
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_notes")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Subscription.
    pub subscription_id: String,
    /// Metric.
    pub metric: String,
    /// Minute.
    pub ts: Millis,
    /// Difference between the review and what was sent.
    pub verdict: Verdict,
    /// Value as known at the review, as decimal text.
    pub value: String,
    /// Mean of the preceding samples as known at the review.
    pub mean: f64,
    /// `value / mean`.
    pub ratio: f64,
    /// Number of samples of the mean.
    pub samples: i32,
    /// Time of the review.
    pub created_at: Millis,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
