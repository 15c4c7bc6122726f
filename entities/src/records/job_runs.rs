//! Slot table: one row per slot of a job and shard. It decides what runs.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

use super::keyset::Keyset;

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum JobRunState {
    /// Due at `not_before`.
    Pending,
    /// Leased by a worker until `lease_until`.
    Running,
    /// Committed.
    Done,
    /// Given up after its last attempt.
    Failed,
    /// Too late to run: a live feed returns no prices of the past.
    Missed,
}

/// A run of a job for a slot.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_runs")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Name of the job.
    pub job: String,
    /// Start of the span that it stands for.
    pub slot: Millis,
    /// Shard of the slot; 0 if the job has one only.
    pub shard: i32,
    /// State.
    pub state: JobRunState,
    /// Fencing token: rises with each claim; a commit with an older one is refused.
    pub token: i64,
    /// Number of attempts since it was last planned.
    pub attempts: i32,
    /// Earliest time of the next attempt.
    pub not_before: Millis,
    /// End of the worker's lease, by the database's clock.
    pub lease_until: Option<Millis>,
    /// Worker that claimed it last.
    pub worker: Option<String>,
    /// Result as JSON.
    pub outcome: Option<String>,
    /// Error of the last failed attempt.
    pub error: Option<String>,
    /// Time of planning.
    pub created_at: Millis,
    /// Time of the last claim.
    pub started_at: Option<Millis>,
    /// Time at which it ended.
    pub finished_at: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Filter and position of a page of runs, newest slot first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Job, or all.
    pub job: Option<String>,
    /// State, or all.
    pub state: Option<JobRunState>,
    /// Start after this (slot, id).
    pub after: Option<(i64, i64)>,
    /// End before this (slot, id).
    pub before: Option<(i64, i64)>,
    /// Oldest slot first.
    pub backwards: bool,
    /// Maximum number of runs.
    pub limit: u64,
}

/// Reads a page of runs.
///
/// # Errors
/// If the database fails.
pub async fn page(connection: &impl ConnectionTrait, page: &Page) -> Result<Vec<Model>, DbErr> {
    let mut select = Entity::find();
    if let Some(job) = &page.job {
        select = select.filter(Column::Job.eq(job.as_str()));
    }
    if let Some(state) = page.state {
        select = select.filter(Column::State.eq(state));
    }
    let keyset = Keyset {
        after: page.after,
        before: page.before,
        backwards: page.backwards,
        limit: page.limit,
    };
    keyset
        .select(select, Column::Slot, Column::Id)
        .all(connection)
        .await
}

/// Finds a run by its id.
///
/// # Errors
/// If the database fails.
pub async fn find(connection: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(connection).await
}
