//! The `Job` trait.

use std::time::Duration;

use async_trait::async_trait;
use marketlake_common::Health;
use marketlake_entities::clock::Clock;
use marketlake_entities::records::job_runs::{Column, Entity, JobRunState};
use marketlake_model::{Millis, Minute};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use serde_json::Value;

use crate::error::JobError;

/// Interval of jobs whose slots are minutes.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// Interval of jobs whose slots are hours.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// Interval of jobs whose slots are days.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Time for which the planner plans.
#[derive(Clone, Copy, Debug)]
pub struct PlanningTime {
    /// Time by the [`Clock`].
    pub now: Millis,
    /// The minute that the feeds are at: the running one, or the newest one of a replay, which is
    /// over.
    pub minute: Minute,
}

/// A slot to insert into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedSlot {
    /// Start of the span that it stands for.
    pub slot: Millis,
    /// Shard of the slot, or 0.
    pub shard: i32,
    /// The state in which it enters: pending, or missed.
    pub state: JobRunState,
    /// Whether a run that is done is to be done again (new raw segments in an hour that was
    /// compacted).
    pub reopen: bool,
}

impl PlannedSlot {
    /// A slot to be done.
    #[must_use]
    pub fn pending(slot: Millis) -> Self {
        Self {
            slot,
            shard: 0,
            state: JobRunState::Pending,
            reopen: false,
        }
    }
}

/// Dependency: a slot is not begun while slots of another job, in a span around it, are open.
#[derive(Clone, Copy, Debug)]
pub struct Dependency {
    /// The other job's name.
    pub job: &'static str,
    /// Begin of the span (included), in milliseconds from the slot.
    pub from_ms: i64,
    /// End of the span (excluded), in milliseconds from the slot.
    pub to_ms: i64,
}

/// Policy of running a job.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// Maximum number of attempts of a slot, those included in which the worker died.
    pub attempts: i32,
    /// Slots of other jobs that must have ended.
    pub dependencies: &'static [Dependency],
}

/// One kind of work, done a slot at a time.
///
/// A run commits all of its effects in one database transaction, in which it calls
/// [`JobContext::finish`]: so a slot is done exactly when its effects are there, and a worker that
/// lost its lease changes nothing. Doing a slot twice leaves what doing it once does.
#[async_trait]
pub trait Job: Send + Sync {
    /// Its name in the slot table, on the shell and in figures: `ingest-minute`. Unique.
    fn name(&self) -> &'static str;

    /// Whether it writes to the object store, or deletes from it: then the start makes sure that
    /// database and store belong together.
    fn writes_to_store(&self) -> bool {
        false
    }

    /// Length of the span that a slot stands for: slots begin at multiples of it.
    fn interval(&self) -> Duration {
        MINUTE
    }

    /// Time at which a slot is due: its start, or its end where the span must be over.
    fn due(&self, slot: Millis) -> Millis {
        slot
    }

    /// Its policy.
    fn policy(&self) -> Policy;

    /// The slots that ought to be in the table by now; those that are there already do no harm.
    ///
    /// # Errors
    /// If the database fails.
    async fn plan(&self, moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError>;

    /// Number of shards of a slot, each a run of its own.
    fn shards(&self) -> i32 {
        1
    }

    /// After when a slot makes no sense any more. It is then missed.
    fn deadline(&self, _slot: Millis) -> Option<Millis> {
        None
    }

    /// Whether its slots are planned while the clocks were just set, and it is unknown to which
    /// minute a price belongs.
    fn is_planned_on_any_clock(&self) -> bool {
        false
    }

    /// Enters what it does beside its runs as parts of a process's health.
    fn report_to(&self, _health: &Health) {}

    /// Does the slot.
    ///
    /// # Errors
    /// A [`JobError`], which says whether to try again. Nothing is committed then.
    async fn run(&self, run: &JobContext) -> Result<(), JobError>;
}

/// Context of a run: the claimed slot.
#[derive(Clone)]
pub struct JobContext {
    pub(crate) clock: Clock,
    pub(crate) id: i64,
    pub(crate) token: i64,
    pub(crate) attempts: i32,
    /// Start of the span that the run stands for.
    pub slot: Millis,
    /// The part of the slot that it does; 0 where there is one only.
    pub shard: i32,
}

impl JobContext {
    /// The time to go by: not the database's clock as such, which may just have been set wrongly.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn now(&self, connection: &impl ConnectionTrait) -> Result<Millis, DbErr> {
        self.clock.now(connection).await
    }

    /// Whether a step of the clock was accepted within `span`: what looks old may be young.
    #[must_use]
    pub fn clock_stepped_within(&self, span: Duration) -> bool {
        self.clock.held().is_some() || self.clock.stepped_within(span)
    }

    /// Marks the slot as done, within the transaction that commits the run's effects.
    ///
    /// # Errors
    /// [`JobError::Fenced`] where another worker has claimed the slot since: roll back.
    pub async fn finish(
        &self,
        transaction: &impl ConnectionTrait,
        outcome: &Value,
    ) -> Result<(), JobError> {
        let now = self.now(transaction).await?;
        let result = Entity::update_many()
            .col_expr(Column::State, Expr::value(JobRunState::Done))
            .col_expr(Column::FinishedAt, Expr::value(now.0))
            .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
            .col_expr(Column::Outcome, Expr::value(outcome.to_string()))
            .filter(Column::Id.eq(self.id))
            .filter(Column::Token.eq(self.token))
            .filter(Column::State.eq(JobRunState::Running))
            .exec(transaction)
            .await?;
        if result.rows_affected == 1 {
            Ok(())
        } else {
            Err(JobError::Fenced)
        }
    }
}
