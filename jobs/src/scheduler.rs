//! Rings each second: plans what is due and missing, and wakes the workers.

use std::sync::Arc;

use marketlake_entities::database::{self, outage, outage::Reporter};
use marketlake_entities::{Millis, Minute};
use marketlake_feeds::Pace;
use sea_orm::DatabaseConnection;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_cron_scheduler::{Job as Ring, JobScheduler};

use crate::runner::in_time;
use crate::{Due, IngestMinute, JobError, JobSet, Moment, Runner, slots};

/// Every second; the slot table decides what follows.
const EACH_SECOND: &str = "* * * * * *";

/// Runs a set of jobs until told to stop.
pub struct Scheduler {
    planner: Arc<Planner>,
    runner: Runner,
}

struct Planner {
    database: DatabaseConnection,
    jobs: JobSet,
    pace: Option<Pace>,
    /// A ring that comes while one is still planning does nothing.
    planning: Mutex<Reporter>,
}

impl Scheduler {
    /// A scheduler of some jobs, at a replay's pace where there is one.
    #[must_use]
    pub fn new(jobs: JobSet, pace: Option<Pace>, runner: Runner) -> Self {
        let planner = Planner {
            database: runner.database().clone(),
            jobs,
            pace,
            planning: Mutex::new(outage::DATABASE.reporter("planner")),
        };
        Self {
            planner: Arc::new(planner),
            runner,
        }
    }

    /// Rings and works until told to stop; then waits for what runs, for some seconds at most.
    ///
    /// # Errors
    /// Where the bell cannot be hung.
    pub async fn run(self) -> Result<(), JobError> {
        let bell =
            |error: tokio_cron_scheduler::JobSchedulerError| JobError::Bell(error.to_string());
        let mut rings = JobScheduler::new().await.map_err(bell)?;
        let (planner, runner) = (Arc::clone(&self.planner), self.runner.clone());
        let ring = Ring::new_async(EACH_SECOND, move |_, _| {
            let (planner, runner) = (Arc::clone(&planner), runner.clone());
            Box::pin(async move {
                planner.ring().await;
                runner.wake();
            })
        });
        rings.add(ring.map_err(bell)?).await.map_err(bell)?;
        self.planner.ring().await;
        rings.start().await.map_err(bell)?;
        let mut workers = JoinSet::new();
        for job in self.planner.jobs.iter() {
            let (runner, job) = (self.runner.clone(), Arc::clone(job));
            workers.spawn(async move { runner.work(job).await });
        }
        self.runner.stopping().await;
        rings.shutdown().await.map_err(bell)?;
        workers.join_all().await;
        Ok(())
    }
}

impl Planner {
    async fn ring(&self) {
        let Ok(mut outage) = self.planning.try_lock() else {
            return;
        };
        match in_time(self.plan()).await {
            Ok(()) => outage.succeed(),
            Err(error) => outage.fail_statement(&self.database, &error).await,
        }
    }

    async fn plan(&self) -> Result<(), JobError> {
        let now = database::clock(&self.database).await?;
        let minute = match self.pace {
            None => now.minute(),
            Some(pace) => self.replayed(pace, now).await?,
        };
        for job in self.jobs.iter() {
            let due = job.due(Moment { now, minute }).await?;
            let entered = slots::enter(&self.database, job.name(), &due, now).await?;
            if entered > 0 {
                tracing::debug!(job = job.name(), entered, "slots planned");
            }
        }
        Ok(())
    }

    /// The minute that a replay is at. It began when its first slot was entered, by whichever process.
    async fn replayed(&self, pace: Pace, now: Millis) -> Result<Minute, JobError> {
        let first = pace.from.start();
        slots::enter(
            &self.database,
            IngestMinute::NAME,
            &[Due::pending(first)],
            now,
        )
        .await?;
        let row = slots::find(&self.database, IngestMinute::NAME, first, 0).await?;
        let begun = row.map_or(now, |row| row.created_at);
        Ok(pace.minute(Millis(now.0 - begun.0)))
    }
}
