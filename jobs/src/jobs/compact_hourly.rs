//! `compact-hourly`: merges an hour's raw segments into one sorted one. Once the hour has ended.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fail::fail_point;
use marketlake_entities::database;
use marketlake_lake::{Lake, StagedSegments};
use serde_json::{Value, json};

use crate::error::JobError;
use crate::job::{Dependency, HOUR, Job, JobContext, PlannedSlot, PlanningTime, Policy};
use crate::jobs::ingest_minute::IngestMinute;

/// Minutes after an hour's end at which its last minute is surely in: it is due at that end, begun
/// within 45 seconds of it by a live feed, and done within 50 more. Others are waited for as long
/// as their slots are open.
const SETTLE_MINUTES: i64 = 2;

const HOUR_MS: i64 = 3_600_000;

/// The job. It leaves: one segment an hour with its rollups, and the raw ones retired.
pub struct CompactHourly {
    lake: Arc<Lake>,
}

impl CompactHourly {
    /// Its name.
    pub const NAME: &'static str = "compact-hourly";

    /// The job over a lake.
    #[must_use]
    pub fn new(lake: Arc<Lake>) -> Self {
        Self { lake }
    }
}

#[async_trait]
impl Job for CompactHourly {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn writes_to_store(&self) -> bool {
        true
    }

    fn interval(&self) -> Duration {
        HOUR
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(600),
            attempts: 5,
            dependencies: &[Dependency {
                job: IngestMinute::NAME,
                from_ms: 0,
                to_ms: HOUR_MS,
            }],
        }
    }

    /// Every ended hour that has raw segments; again, where some came after its compaction.
    async fn plan(&self, moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        let running = moment.minute.plus(-SETTLE_MINUTES);
        let hours = self.lake.hours_to_compact(running).await?;
        let due = hours.into_iter().map(|hour| PlannedSlot {
            reopen: true,
            ..PlannedSlot::pending(hour.start())
        });
        Ok(due.collect())
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let staged = self
            .lake
            .ingest()
            .stage_compaction(run.slot.minute())
            .await?;
        let outcome = commit_merge(&self.lake, run, staged).await?;
        tracing::info!(slot = %run.slot, %outcome, "hour compacted");
        Ok(())
    }
}

/// Ends a run whose effect is that some segments are one now.
pub(crate) async fn commit_merge(
    lake: &Lake,
    run: &JobContext,
    staged: Option<StagedSegments>,
) -> Result<Value, JobError> {
    let outcome = match &staged {
        Some(staged) => {
            json!({
                "merged": staged.replaced(),
                "rows": staged.row_count(),
                "bytes": staged.byte_count(),
            })
        }
        None => json!({"merged": 0}),
    };
    fail_point!("between-merge-and-commit");
    let transaction = database::begin_write(lake.database()).await?;
    let now = run.now(&transaction).await?;
    run.finish(&transaction, &outcome).await?;
    if let Some(staged) = &staged {
        staged.publish(&transaction, now).await?;
    }
    transaction.commit().await?;
    Ok(outcome)
}
