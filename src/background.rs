//! What runs beside the roles: it follows the lake, looks how the process does, and keeps figures.

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

/// How soon what other processes commit is seen.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How often a process that writes compares its database with the store, beside its writes.
const IDENTITY_INTERVAL: Duration = Duration::from_secs(15);
/// The part of a scheduler's health that says whether it may write.
const IDENTITY: &str = "lake";

/// What it takes.
#[derive(Clone)]
pub(crate) struct Background {
    pub(crate) lake: Arc<Lake>,
    pub(crate) health: Health,
    pub(crate) figures: PrometheusHandle,
    pub(crate) is_api: bool,
    /// Whether it was let in to write.
    pub(crate) is_scheduler: bool,
    /// How old the newest minute may be, where it is not a replay's.
    pub(crate) stale_after: Option<Duration>,
    pub(crate) stop: CancellationToken,
}

impl Background {
    /// Starts each task, which is started again where it panics or ends; the process ends where one
    /// does so too often.
    pub(crate) fn spawn(self, tasks: &mut JoinSet<anyhow::Result<()>>) {
        if self.is_api {
            // From the first moment on: nobody is ready before they have said so.
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

    /// Keeps the window equal to what is committed.
    async fn follow(self) {
        let mut seen = 0;
        let mut database = outage::DATABASE.reporter("follow");
        let mut store = outage::STORE.reporter("follow");
        while !self.stop.is_cancelled() {
            fail_point!("follow-loop");
            match self.lake.follow(seen).await {
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

    /// Looks how the process does.
    async fn watch(self) {
        let Self {
            lake, health, stop, ..
        } = self;
        marketlake_http::health::watch_health(lake, health, self.is_api, self.stale_after, stop)
            .await;
    }

    /// Says whether the database still is the one that the store's lake is of. A store or a
    /// database that cannot be asked says nothing about that.
    async fn compare(self) {
        let part = self.health.part(Role::Scheduler, IDENTITY);
        // It was compared before it came here.
        part.good_for_ever();
        let mut is_refused = false;
        while !self.stop.is_cancelled() {
            match self.lake.check_identity().await {
                Ok(()) => {
                    if std::mem::take(&mut is_refused) {
                        tracing::info!("this database is the lake's again: writing goes on");
                    }
                    part.good_for_ever();
                }
                Err(LakeError::Mismatch(error)) => {
                    if !std::mem::replace(&mut is_refused, true) {
                        tracing::error!(%error, "this database is not the lake's: nothing is written");
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

    /// Keeps histograms from growing between scrapes.
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
