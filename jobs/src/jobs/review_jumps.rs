//! `review-jumps`: evaluates an hour again after samples arrived late, and notes alerts that would
//! differ. Sent alerts stay as they are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use marketlake_alerts::MAX_WINDOW_MINUTES;
use marketlake_alerts::detection::replay;
use marketlake_entities::database;
use marketlake_entities::records::job_runs::{self, JobRunState};
use marketlake_lake::{Lake, Span};
use marketlake_model::{Millis, Minute};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Statement,
};
use serde_json::json;

use crate::error::JobError;
use crate::job::{Dependency, HOUR, Job, JobContext, PlannedSlot, PlanningTime, Policy};
use crate::jobs::detect_jumps::DetectJumps;

const HOUR_MS: i64 = 3_600_000;
/// Minutes before the hour in which a state may have begun that lasts into it.
const LOOKBACK_MINUTES: i64 = 1_440;

/// Hours with minutes that were evaluated before samples came that concern them; those that are
/// being reviewed, or were since, left out.
const AFFECTED_HOURS_SQL: &str = "select distinct d.slot - (d.slot % 3600000) as hour \
     from segments s join job_runs d on d.job = 'detect-jumps' and d.state = 'done' \
     and d.slot >= s.min_ts and d.slot <= s.max_ts + $1 and d.finished_at < s.created_at \
     where s.id > $2 and s.id <= $3 and s.origin <> 'compact' \
     and not exists (select 1 from job_runs v \
     where v.job = 'review-jumps' and v.slot = d.slot - (d.slot % 3600000) \
     and (v.state in ('pending', 'running') or v.finished_at >= s.created_at))";

/// The job. It leaves: notes of what would have fired, or not.
pub struct ReviewJumps {
    lake: Arc<Lake>,
    /// Segments up to this one have been looked at by this process.
    seen: AtomicI64,
}

impl ReviewJumps {
    /// Its name.
    pub const NAME: &'static str = "review-jumps";

    /// The job over a lake.
    #[must_use]
    pub fn new(lake: Arc<Lake>) -> Self {
        Self {
            lake,
            seen: AtomicI64::new(0),
        }
    }
}

#[async_trait]
impl Job for ReviewJumps {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn interval(&self) -> Duration {
        HOUR
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(600),
            attempts: 5,
            dependencies: &[Dependency {
                job: DetectJumps::NAME,
                from_ms: 0,
                to_ms: HOUR_MS,
            }],
        }
    }

    async fn plan(&self, _moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        let database = self.lake.database();
        let seen = self.seen.load(Ordering::Relaxed);
        let newest = self.lake.newest_segment().await?;
        if newest <= seen {
            return Ok(Vec::new());
        }
        let reach = i64::from(MAX_WINDOW_MINUTES) * 60_000;
        let values = [reach.into(), seen.into(), newest.into()];
        let backend = database.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, AFFECTED_HOURS_SQL, values);
        let mut due = Vec::new();
        for row in database.query_all_raw(statement).await? {
            due.push(PlannedSlot {
                reopen: true,
                ..PlannedSlot::pending(Millis(row.try_get("", "hour")?))
            });
        }
        self.seen.store(newest, Ordering::Relaxed);
        Ok(due)
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let database = self.lake.database();
        let span = Span::hour(run.slot.minute());
        let evaluated = evaluated_minutes(database, span).await?;
        let replay = replay::replay(&self.lake, span, &evaluated).await?;
        let transaction = database::begin_write(database).await?;
        let now = run.now(&transaction).await?;
        let notes = replay::note(&transaction, &replay, now).await?;
        let outcome = json!({
            "same": replay.same.len(),
            "other": replay.other.len(),
            "would_have_fired": replay.would_have_fired.len(),
            "would_not_have_fired": replay.would_not_have_fired.len(),
            "notes": notes,
        });
        run.finish(&transaction, &outcome).await?;
        transaction.commit().await?;
        tracing::info!(slot = %run.slot, %outcome, "jumps evaluated again after late samples");
        Ok(())
    }
}

/// The minutes that were evaluated, from a day before a span to its end.
///
/// # Errors
/// If the database fails.
pub async fn evaluated_minutes(
    connection: &impl ConnectionTrait,
    span: Span,
) -> Result<BTreeSet<Minute>, DbErr> {
    use job_runs::Column;
    let slots: Vec<i64> = job_runs::Entity::find()
        .select_only()
        .column(Column::Slot)
        .filter(Column::Job.eq(DetectJumps::NAME))
        .filter(Column::State.eq(JobRunState::Done))
        .filter(Column::Slot.gte(span.from.plus(-LOOKBACK_MINUTES).start()))
        .filter(Column::Slot.lte(span.to.start()))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(slots
        .into_iter()
        .map(|slot| Millis(slot).minute())
        .collect())
}
