//! `publish-manifests`: publishes committed segments to Athena. Each minute, where Athena is used.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use marketlake_lake::Lake;
use serde_json::json;

use crate::error::JobError;
use crate::job::{Dependency, Job, JobContext, PlannedSlot, PlanningTime, Policy};
use crate::jobs::ingest_minute::IngestMinute;

/// The job. It leaves: manifests that list exactly the live segments, as of its start or later.
pub struct PublishManifests {
    lake: Arc<Lake>,
}

impl PublishManifests {
    /// Its name.
    pub const NAME: &'static str = "publish-manifests";

    /// The job over a lake in S3.
    #[must_use]
    pub fn new(lake: Arc<Lake>) -> Self {
        Self { lake }
    }
}

#[async_trait]
impl Job for PublishManifests {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn writes_to_store(&self) -> bool {
        true
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(300),
            attempts: 5,
            // The minute before is over, and being ingested: it is soon there.
            dependencies: &[Dependency {
                job: IngestMinute::NAME,
                from_ms: -60_000,
                to_ms: 0,
            }],
        }
    }

    /// The running minute by the clock; minutes that passed need none of their own.
    async fn plan(&self, moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        if self.lake.athena().is_none() {
            return Ok(Vec::new());
        }
        Ok(vec![PlannedSlot::pending(moment.now.minute().start())])
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let database = self.lake.database();
        let now = run.now(database).await?;
        let days = self.lake.publish_manifests(now, false).await?;
        run.finish(database, &json!({ "days": days })).await?;
        Ok(())
    }
}
