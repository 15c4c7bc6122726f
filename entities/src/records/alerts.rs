//! One jump matched to one subscription; unique by (subscription, metric, ts).

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// An alert.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alerts")]
pub struct Model {
    /// A UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Whose alert it is.
    pub subscription_id: String,
    /// The metric that jumped.
    pub metric: String,
    /// The minute at which it jumped.
    pub ts: Millis,
    /// The value that jumped, as decimal text.
    pub value: String,
    /// Mean of the samples before it.
    pub mean: f64,
    /// `value / mean`.
    pub ratio: f64,
    /// How many samples the mean is of.
    pub samples: i32,
    /// When it was decided.
    pub created_at: Millis,
    /// The subscription's revision that was judged by.
    pub revision: i32,
    /// The version of the detector that judged.
    pub detector: i32,
    /// The rows that prove it.
    pub evidence_id: Option<String>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
