//! Each change of a watch's state, and why: the history by which "why did it fire" is answered.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

pub use super::watches::State;

/// A change.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "transitions")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose.
    pub subscription_id: String,
    /// Of which metric.
    pub metric: String,
    /// The minute at which it changed.
    pub ts: Millis,
    /// The state before.
    pub from_state: State,
    /// The state after.
    pub to_state: State,
    /// The state to which it goes back when there is data again.
    pub held: State,
    /// Minutes beyond the factor without a calm one between.
    pub streak: i32,
    /// Why, for people.
    pub reason: String,
    /// Value over mean, where there was one.
    pub ratio: Option<f64>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
