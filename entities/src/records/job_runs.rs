//! The slot table: one row a scheduled time of a job, for ever. It decides what runs.

use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, Order, QueryOrder, QuerySelect};

use marketlake_model::Millis;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum State {
    /// Due, or due again at `not_before`.
    Pending,
    /// Held by a worker until `lease_until`.
    Running,
    /// Its effects are committed.
    Done,
    /// Given up after its last attempt.
    Failed,
    /// Its time passed while nobody could do it (a live feed cannot be asked for yesterday's price).
    Missed,
}

/// A run of a job for a slot.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_runs")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Name of the job.
    pub job: String,
    /// The scheduled time that the run stands for.
    pub slot: Millis,
    /// Part of the slot, where a job is split; else 0.
    pub shard: i32,
    /// Where it stands.
    pub state: State,
    /// The fencing token: rises with each claim; a commit with an older one is refused.
    pub token: i64,
    /// How many times it was tried since it was last planned.
    pub attempts: i32,
    /// Not to be claimed before this instant.
    pub not_before: Millis,
    /// Until when its worker holds it, by the database's clock.
    pub lease_until: Option<Millis>,
    /// Who holds or held it.
    pub worker: Option<String>,
    /// What came of it: the job's figures, as JSON text.
    pub outcome: Option<String>,
    /// What went wrong at the last attempt that failed.
    pub error: Option<String>,
    /// When it was planned.
    pub created_at: Millis,
    /// When it was last claimed.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub finished_at: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Which runs to read: the newest slot first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Of one job only.
    pub job: Option<String>,
    /// In one state only.
    pub state: Option<State>,
    /// Behind this (slot, id).
    pub after: Option<(i64, i64)>,
    /// Before this (slot, id).
    pub before: Option<(i64, i64)>,
    /// From the end: the oldest slot first.
    pub backwards: bool,
    /// At most so many.
    pub limit: u64,
}

/// Reads a page of runs.
///
/// # Errors
/// Where the database fails.
pub async fn page(connection: &impl ConnectionTrait, page: &Page) -> Result<Vec<Model>, DbErr> {
    let mut select = Entity::find();
    if let Some(job) = &page.job {
        select = select.filter(Column::Job.eq(job.as_str()));
    }
    if let Some(state) = page.state {
        select = select.filter(Column::State.eq(state));
    }
    if let Some((slot, id)) = page.after {
        let same_slot = Column::Slot.eq(slot).and(Column::Id.lt(id));
        select = select.filter(Column::Slot.lt(slot).or(same_slot));
    }
    if let Some((slot, id)) = page.before {
        let same_slot = Column::Slot.eq(slot).and(Column::Id.gt(id));
        select = select.filter(Column::Slot.gt(slot).or(same_slot));
    }
    let order = if page.backwards {
        Order::Asc
    } else {
        Order::Desc
    };
    select
        .order_by(Column::Slot, order.clone())
        .order_by(Column::Id, order)
        .limit(page.limit)
        .all(connection)
        .await
}

/// One run.
///
/// # Errors
/// Where the database fails.
pub async fn find(connection: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(connection).await
}
