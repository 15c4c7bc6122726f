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
    /// Subscription that it was sent for.
    pub subscription_id: String,
    /// Metric that jumped.
    pub metric: String,
    /// Minute of the jump.
    pub ts: Millis,
    /// Value, as decimal text.
    pub value: String,
    /// Mean of the preceding samples.
    pub mean: f64,
    /// `value / mean`.
    pub ratio: f64,
    /// Number of samples of the mean.
    pub samples: i32,
    /// Time of the evaluation.
    pub created_at: Millis,
    /// Revision of the subscription that was evaluated.
    pub revision: i32,
    /// Version of the detector.
    pub detector: i32,
    /// Samples that it was decided on (`evidence`).
    pub evidence_id: Option<String>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
