//! Background tasks beside the roles: follow the catalog, check health, keep metrics.

use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use marketlake_common::Health;
use marketlake_common::health::Role;
use marketlake_entities::database::outage;
use marketlake_jobs::supervisor::{Restarts, supervise};
use marketlake_lake::{Lake, LakeError};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Interval at which commits of other processes are read.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Interval at which a writing process compares its database with the store.
const IDENTITY_INTERVAL: Duration = Duration::from_secs(15);
/// Health part of the scheduler: whether it may write.
const IDENTITY: &str = "lake";

/// Dependencies of the tasks.
#[derive(Clone)]
pub(crate) struct Background {
    pub(crate) lake: Arc<Lake>,
    pub(crate) health: Health,
    pub(crate) figures: PrometheusHandle,
    pub(crate) is_api: bool,
    /// Whether the process writes to the lake.
    pub(crate) is_scheduler: bool,
    /// Age of the newest minute from which a feed counts as stale; `None` for a replay.
    pub(crate) stale_after: Option<Duration>,
    pub(crate) stop: CancellationToken,
}

impl Background {
    /// Starts each task under supervision: it is restarted if it panics or ends; the process ends
    /// if that happens too often.
    pub(crate) fn spawn(self, tasks: &mut JoinSet<anyhow::Result<()>>) {
        if self.is_api {
            // From the first moment on: a part is not ready before its first report.
            for name in marketlake_http::health::API_PARTS {
                let _ = self.health.part(Role::Api, name);
            }
        }
        self.spawn_one(tasks, "follow", Self::follow);
        self.spawn_one(tasks, "watch", Self::watch);
        self.spawn_one(tasks, "upkeep", Self::upkeep);
        if self.is_scheduler {
            self.spawn_one(tasks, IDENTITY, Self::compare);
        }
    }

    fn spawn_one<T>(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        name: &'static str,
        task: impl Fn(Self) -> T + Send + Sync + 'static,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        let (own, stop) = (self.clone(), self.stop.clone());
        tasks.spawn(async move {
            let start = || {
                let running = task(own.clone());
                async move {
                    running.await;
                    Ok(())
                }
            };
            Ok(supervise(name, Restarts::default(), &stop, start).await?)
        });
    }

    /// Keeps the in-memory day equal to the committed one.
    async fn follow(self) {
        let mut seen = 0;
        let mut database = outage::DATABASE.reporter("follow");
        let mut store = outage::STORE.reporter("follow");
        while !self.stop.is_cancelled() {
            fail_point!("follow-loop");
            match self.lake.queries().follow(seen).await {
                Ok(newest) => {
                    seen = newest;
                    database.succeed();
                    store.succeed();
                }
                Err(LakeError::Catalog(error)) => {
                    database.fail_statement(self.lake.database(), &error).await;
                }
                Err(error) => {
                    database.succeed();
                    store.fail(&error);
                }
            }
            tokio::select! {
                () = self.lake.wait_for_commit() => (),
                () = sleep(FOLLOW_INTERVAL) => (),
                () = self.stop.cancelled() => (),
            }
        }
    }

    /// Checks the health of the process.
    async fn watch(self) {
        let Self {
            lake, health, stop, ..
        } = self;
        marketlake_http::health::watch_health(lake, health, self.is_api, self.stale_after, stop)
            .await;
    }

    /// Checks whether the database still belongs to the lake in the store. An outage of either
    /// proves nothing.
    async fn compare(self) {
        let part = self.health.part(Role::Scheduler, IDENTITY);
        // It was compared before it came here.
        part.good_for_ever();
        let mut is_refused = false;
        while !self.stop.is_cancelled() {
            match self.lake.check_identity().await {
                Ok(()) => {
                    if std::mem::take(&mut is_refused) {
                        tracing::info!("this database matches the lake again: writing continues");
                    }
                    part.good_for_ever();
                }
                Err(LakeError::Mismatch(error)) => {
                    if !std::mem::replace(&mut is_refused, true) {
                        tracing::error!(%error, "this database is another lake's or outdated: \
                            nothing is written");
                    }
                    part.bad(error.to_string());
                }
                Err(error) => tracing::debug!(%error, "cannot compare database and store"),
            }
            tokio::select! {
                () = sleep(IDENTITY_INTERVAL) => (),
                () = self.stop.cancelled() => (),
            }
        }
    }

    /// Bounds the memory of histograms between scrapes.
    async fn upkeep(self) {
        while !self.stop.is_cancelled() {
            self.figures.run_upkeep();
            tokio::select! {
                () = sleep(UPKEEP_INTERVAL) => (),
                () = self.stop.cancelled() => (),
            }
        }
    }
}
