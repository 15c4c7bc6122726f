//! `compact-daily`: merges a day's hours into one segment. Once the day has ended and its hours are
//! merged.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use marketlake_lake::Lake;

use crate::error::JobError;
use crate::job::{DAY, Dependency, Job, JobContext, PlannedSlot, PlanningTime, Policy};
use crate::jobs::compact_hourly::{CompactHourly, commit_merge};

/// Minutes after a day's end at which its last hour is surely merged.
const SETTLE_MINUTES: i64 = 60;

const DAY_MS: i64 = 24 * 3_600_000;

/// The job. It leaves: one segment a day with its rollups, and the hours retired.
pub struct CompactDaily {
    lake: Arc<Lake>,
}

impl CompactDaily {
    /// Its name.
    pub const NAME: &'static str = "compact-daily";

    /// The job over a lake.
    #[must_use]
    pub fn new(lake: Arc<Lake>) -> Self {
        Self { lake }
    }
}

#[async_trait]
impl Job for CompactDaily {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn writes_to_store(&self) -> bool {
        true
    }

    fn interval(&self) -> Duration {
        DAY
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(1_800),
            attempts: 5,
            dependencies: &[Dependency {
                job: CompactHourly::NAME,
                from_ms: 0,
                to_ms: DAY_MS,
            }],
        }
    }

    /// Every ended day that is not one segment; again, where hours came after its compaction.
    async fn plan(&self, moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        let running = moment.minute.plus(-SETTLE_MINUTES);
        let days = self.lake.days_to_compact(running).await?;
        let due = days.into_iter().map(|day| PlannedSlot {
            reopen: true,
            ..PlannedSlot::pending(day.start())
        });
        Ok(due.collect())
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let staged = self.lake.ingest().stage_day(run.slot.minute()).await?;
        let outcome = commit_merge(&self.lake, run, staged).await?;
        tracing::info!(slot = %run.slot, %outcome, "day compacted");
        Ok(())
    }
}
