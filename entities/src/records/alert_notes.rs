//! What a late or corrected sample would have changed. What was sent is never rewritten.

use std::fmt;

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// What would have been otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Verdict {
    /// There was no alert, and now there would be one.
    WouldHaveFired,
    /// There was an alert, and now there would be none.
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

/// A note.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_notes")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose.
    pub subscription_id: String,
    /// Of which metric.
    pub metric: String,
    /// The minute.
    pub ts: Millis,
    /// What would have been otherwise.
    pub verdict: Verdict,
    /// The value as it is known now, as decimal text.
    pub value: String,
    /// Mean of the samples before it, as they are known now.
    pub mean: f64,
    /// `value / mean`.
    pub ratio: f64,
    /// How many samples the mean is of.
    pub samples: i32,
    /// When it was found.
    pub created_at: Millis,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
