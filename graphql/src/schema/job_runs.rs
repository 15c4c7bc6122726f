//! Runs of jobs.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Json, Object, Result, SimpleObject};
use marketlake_entities::records::job_runs::{self, Model, Page};
use marketlake_http::auth::scope::Scope;
use marketlake_lake::Lake;

use super::errors;
use super::guard::RequireScope;
use super::paging::{self, Page as Paged, PageArgs, Paging};
use super::scalars::DateTime;

/// State of a job run.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "job_runs::JobRunState")]
pub(super) enum JobRunState {
    /// Due, or due again.
    Pending,
    /// Held by a worker.
    Running,
    /// Its effects are committed.
    Done,
    /// Given up after its last attempt.
    Failed,
    /// Its time passed before it could run.
    Missed,
}

/// Run of a job for a slot; there is one per job, slot and shard.
#[derive(SimpleObject)]
pub(super) struct JobRun {
    /// Id of the run.
    pub(super) id: ID,
    /// Name of the job, for example ingest-minute.
    job: String,
    /// Start of the minute, hour or other span that the run stands for.
    slot: DateTime,
    /// Shard of the slot, where a job is split; else 0.
    shard: i32,
    /// State of the run.
    state: JobRunState,
    /// Number of attempts.
    attempts: i32,
    /// Worker that holds or last held the run.
    worker: Option<String>,
    /// Statistics of the run, by the job.
    outcome: Option<Json<serde_json::Value>>,
    /// Error of the last failed attempt.
    error: Option<String>,
    /// Time at which it was planned.
    planned_at: DateTime,
    /// Time at which it last started.
    started_at: Option<DateTime>,
    /// Time at which it ended.
    finished_at: Option<DateTime>,
}

/// Prefix of the ids of job runs.
pub(super) const JOB_RUN: &str = "job-run/";

impl From<Model> for JobRun {
    fn from(row: Model) -> Self {
        Self {
            id: format!("{JOB_RUN}{}", row.id).into(),
            job: row.job,
            slot: row.slot.into(),
            shard: row.shard,
            state: row.state.into(),
            attempts: row.attempts,
            worker: row.worker,
            outcome: row
                .outcome
                .and_then(|text| serde_json::from_str(&text).ok())
                .map(Json),
            error: row.error,
            planned_at: row.created_at.into(),
            started_at: row.started_at.map(DateTime),
            finished_at: row.finished_at.map(DateTime),
        }
    }
}

#[derive(Default)]
pub(super) struct JobRunsQuery;

#[Object]
impl JobRunsQuery {
    /// Runs of jobs, the newest slot first. Needs the scope admin.
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    #[graphql(
        guard = "RequireScope(Scope::Admin)",
        complexity = "paging::complexity(first.or(last), child_complexity)"
    )]
    async fn job_runs(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only runs of this job, for example ingest-minute.")] job: Option<String>,
        #[graphql(desc = "Only in this state.")] state: Option<JobRunState>,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100 by default.")] first: Option<i32>,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Cursor before which the page ends.")] before: Option<String>,
    ) -> Result<Paged<JobRun>> {
        let lake = context.data::<Arc<Lake>>()?;
        let paging = Paging::new(&PageArgs {
            first,
            after,
            last,
            before,
        })?;
        let read = paging.read(paging::time_and_id)?;
        let page = Page {
            job,
            state: state.map(job_runs::JobRunState::from),
            after: read.after,
            before: read.before,
            backwards: read.backwards,
            limit: read.limit,
        };
        let runs = job_runs::page(lake.database(), &page)
            .await
            .map_err(|error| errors::unavailable(&error))?;
        Ok(paging.of_read(runs, |row| {
            (format!("{}/{}", row.slot.0, row.id), row.into())
        }))
    }
}
