//! Slots of minutes whose samples were found in the store: `ingest-minute` need not ask for them
//! again.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use marketlake_entities::records::job_runs::{ActiveModel, Column, Entity, State};
use marketlake_entities::{Millis, Minute, database};
use marketlake_lake::Adoption;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, NotSet, QueryFilter,
    QuerySelect, Set,
};

use crate::{DetectJumps, Due, IngestMinute, slots};

/// Slots in one statement: below the parameter limit of either database.
const BATCH_SIZE: usize = 500;
const OUTCOME: &str = r#"{"adopted":true}"#;

/// Marks the slots of adopted minutes as done: those that are missing, and those that were missed,
/// given up or planned. The latter were not judged yet, and are now; the others were judged by the
/// commits that the database lost.
pub struct MarkIngested {
    shards: i32,
    markets: Arc<HashSet<String>>,
}

impl MarkIngested {
    /// For a minute that is split into so many shards.
    #[must_use]
    pub fn new(shards: i32) -> Self {
        Self {
            shards: shards.max(1),
            markets: Arc::default(),
        }
    }

    /// For feeds of some markets.
    #[must_use]
    pub fn with_markets(mut self, markets: impl IntoIterator<Item = String>) -> Self {
        self.markets = Arc::new(markets.into_iter().collect());
        self
    }
}

#[async_trait]
impl Adoption for MarkIngested {
    fn markets(&self) -> Arc<HashSet<String>> {
        Arc::clone(&self.markets)
    }

    async fn adopted(
        &self,
        transaction: &DatabaseTransaction,
        minutes: &[Minute],
        now: Millis,
    ) -> Result<u64, DbErr> {
        let mut changed = 0;
        for some in minutes.chunks(BATCH_SIZE) {
            let open = Condition::all()
                .add(Column::Job.eq(IngestMinute::NAME))
                .add(Column::Slot.is_in(some.iter().map(|minute| minute.start().0)))
                // A worker that holds one finds its samples there.
                .add(Column::State.is_in([State::Missed, State::Failed, State::Pending]));
            let slots: Vec<i64> = Entity::find()
                .select_only()
                .column(Column::Slot)
                .distinct()
                .filter(open.clone())
                .into_tuple()
                .all(transaction)
                .await?;
            let unjudged: Vec<Due> = slots
                .into_iter()
                .map(|slot| Due::pending(Millis(slot)))
                .collect();
            slots::enter(transaction, DetectJumps::NAME, &unjudged, now).await?;
            let updated = Entity::update_many()
                .col_expr(Column::State, Expr::value(State::Done))
                .col_expr(Column::FinishedAt, Expr::value(now.0))
                .col_expr(Column::Outcome, Expr::value(OUTCOME))
                .col_expr(Column::Error, Expr::value(None::<String>))
                .filter(open)
                .exec(transaction)
                .await?;
            changed += updated.rows_affected;
        }
        let slots = minutes
            .iter()
            .flat_map(|minute| (0..self.shards).map(|shard| done(*minute, shard, now)));
        let once = OnConflict::columns([Column::Job, Column::Slot, Column::Shard])
            .do_nothing()
            .to_owned();
        changed += database::insert_all(transaction, slots.collect(), Some(once)).await?;
        Ok(changed)
    }
}

fn done(minute: Minute, shard: i32, now: Millis) -> ActiveModel {
    ActiveModel {
        id: NotSet,
        job: Set(IngestMinute::NAME.to_owned()),
        slot: Set(minute.start()),
        shard: Set(shard),
        state: Set(State::Done),
        token: Set(0),
        attempts: Set(0),
        not_before: Set(now),
        lease_until: Set(None),
        worker: Set(None),
        outcome: Set(Some(OUTCOME.to_owned())),
        error: Set(None),
        created_at: Set(now),
        started_at: Set(None),
        finished_at: Set(Some(now)),
    }
}
