//! Plans due and missing slots each second, and wakes the workers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fail::fail_point;
use futures::FutureExt;
use marketlake_alerts::delivery::outbox;
use marketlake_common::failure_log::{FailureLine, FailureLog};
use marketlake_common::health::{Part, Role};
use marketlake_common::panic_message;
use marketlake_entities::database::outage;
use marketlake_entities::database::outage::Reporter;
use marketlake_feeds::ReplayClock;
use marketlake_model::{Millis, Minute};
use metrics::counter;
use sea_orm::DatabaseConnection;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_cron_scheduler::{Job as CronJob, JobScheduler};

use crate::clock_repair::repair_slots;
use crate::error::JobError;
use crate::job::{Job, PlannedSlot, PlanningTime};
use crate::jobs::JobSet;
use crate::jobs::ingest_minute::IngestMinute;
use crate::runner::Runner;
use crate::runner::in_time;
use crate::slots;
use crate::supervisor::{Restarts, supervise};

/// Every second; the slot table decides what follows.
const EACH_SECOND: &str = "* * * * * *";
/// The cron scheduler waits for the machine's clock, which may be set back; without a tick for this
/// long, planning goes on by itself.
const TICK_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Without a tick for this long, that is worth a line in the log.
const TICK_ALARM_TIMEOUT: Duration = Duration::from_secs(10);
/// Time without planning after which a planner is not well.
const PLAN_TIMEOUT: Duration = Duration::from_secs(60);
const PLANNER: &str = "planner";
/// Interval at which slots left by a wrong clock are repaired.
const REPAIR_INTERVAL: Duration = Duration::from_secs(10);

/// Runs a set of jobs until told to stop.
pub struct Scheduler {
    planner: Arc<Planner>,
    runner: Runner,
}

struct Planner {
    database: DatabaseConnection,
    jobs: JobSet,
    pace: Option<ReplayClock>,
    runner: Runner,
    tick: Arc<Notify>,
    failures: FailureLog,
}

impl Scheduler {
    /// A scheduler of some jobs, at a replay's pace where there is one.
    #[must_use]
    pub fn new(jobs: JobSet, pace: Option<ReplayClock>, runner: Runner) -> Self {
        // From the first moment on: a part is not ready before its first report.
        let _ = runner.health().part(Role::Scheduler, PLANNER);
        for job in jobs.iter() {
            let _ = runner.part(job.name());
            job.report_to(runner.health());
        }
        let planner = Planner {
            database: runner.database().clone(),
            jobs,
            pace,
            runner: runner.clone(),
            tick: Arc::default(),
            failures: FailureLog::new(),
        };
        Self {
            planner: Arc::new(planner),
            runner,
        }
    }

    /// Plans and works until told to stop; then waits for what runs, for some seconds at most. Each
    /// task is started again where it panics or ends.
    ///
    /// # Errors
    /// If one of them ended too often.
    pub async fn run(self) -> Result<(), JobError> {
        let mut tasks = JoinSet::new();
        let Self { planner, runner } = self;
        let stop = runner.stop().clone();
        let tick = Arc::clone(&planner.tick);
        let cron = (runner.clone(), stop.clone());
        tasks.spawn(async move {
            let (runner, stop) = cron;
            let start = || run_cron(Arc::clone(&tick), runner.clone());
            supervise("cron", Restarts::default(), &stop, start).await
        });
        let planning = (Arc::clone(&planner), stop.clone());
        tasks.spawn(async move {
            let (planner, stop) = planning;
            let start = || {
                let planner = Arc::clone(&planner);
                async move {
                    planner.work().await;
                    Ok(())
                }
            };
            supervise("planner", Restarts::default(), &stop, start).await
        });
        for job in planner.jobs.iter() {
            let (runner, job, stop) = (runner.clone(), Arc::clone(job), stop.clone());
            tasks.spawn(async move {
                let start = || {
                    let (runner, job) = (runner.clone(), Arc::clone(&job));
                    async move {
                        runner.work(job).await;
                        Ok(())
                    }
                };
                supervise(job.name(), Restarts::default(), &stop, start).await
            });
        }
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(Ok(())) => (),
                Ok(Err(error)) => return Err(JobError::Ended(error)),
                Err(error) => return Err(JobError::Cron(error.into())),
            }
        }
        Ok(())
    }
}

/// Notifies the planner each second by tokio-cron-scheduler.
async fn run_cron(tick: Arc<Notify>, runner: Runner) -> Result<(), String> {
    let failed = |error: tokio_cron_scheduler::JobSchedulerError| error.to_string();
    let mut cron = JobScheduler::new().await.map_err(failed)?;
    let job = CronJob::new_async(EACH_SECOND, move |_, _| {
        let tick = Arc::clone(&tick);
        Box::pin(async move { tick.notify_one() })
    });
    cron.add(job.map_err(failed)?).await.map_err(failed)?;
    cron.start().await.map_err(failed)?;
    runner.stopping().await;
    cron.shutdown().await.map_err(failed)
}

impl Planner {
    /// Plans at each tick, or without one, until cancelled.
    async fn work(&self) {
        let part = self.runner.health().part(Role::Scheduler, PLANNER);
        let mut outage = outage::DATABASE.reporter(PLANNER);
        let (mut rung, mut silent) = (Instant::now(), false);
        let mut repaired_at: Option<Instant> = None;
        while !self.runner.stop().is_cancelled() {
            fail_point!("planner-loop");
            let repair = repaired_at.is_none_or(|at| at.elapsed() >= REPAIR_INTERVAL);
            if repair {
                repaired_at = Some(Instant::now());
            }
            self.plan_once(&part, repair, &mut outage).await;
            self.runner.wake();
            tokio::select! {
                () = self.tick.notified() => {
                    rung = Instant::now();
                    if std::mem::take(&mut silent) {
                        tracing::warn!("the cron scheduler ticks again");
                    }
                }
                () = sleep(TICK_TIMEOUT) => (),
                () = self.runner.stopping() => (),
            }
            if rung.elapsed() >= TICK_ALARM_TIMEOUT && !silent {
                silent = true;
                counter!("marketlake_cron_silences_total").increment(1);
                tracing::warn!(
                    seconds = rung.elapsed().as_secs(),
                    "the cron scheduler does not tick, for example after the machine's clock was \
                     set back; planning continues without it"
                );
            }
        }
    }

    async fn plan_once(&self, part: &Part, repair: bool, outage: &mut Reporter) {
        let planned = in_time(self.plan(repair)).await;
        if planned.is_ok() {
            outage.succeed();
        }
        match planned {
            Ok(None) => part.good(PLAN_TIMEOUT),
            Ok(Some(held)) => part.bad(held),
            Err(error) => {
                if error.is_of_database() {
                    outage.fail_statement(&self.database, &error).await;
                } else {
                    outage.succeed();
                }
                part.bad(format!("cannot plan slots: {}", outage::with_cause(&error)));
            }
        }
    }

    /// Plans every job's slots; what one job cannot does not cost the others theirs. Returns why
    /// nothing can be planned.
    async fn plan(&self, repair: bool) -> Result<Option<String>, JobError> {
        let clock = self.runner.clock();
        let now = clock.now(&self.database).await?;
        self.runner.health().note("clock", clock.describe());
        let held = clock.held();
        if held.is_some() && clock.estimate().is_none() {
            return Ok(held);
        }
        if repair && held.is_none() {
            repair_slots(&self.database, now).await?;
            outbox::repair_backoffs(&self.database, now).await?;
        }
        let minute = match self.pace {
            None => now.minute(),
            Some(pace) => self.replayed(pace, now).await?,
        };
        let moment = PlanningTime { now, minute };
        let mut failed = None;
        let planned = |job: &&Arc<dyn Job>| held.is_none() || job.is_planned_on_any_clock();
        for job in self.jobs.iter().filter(planned) {
            let planning = AssertUnwindSafe(self.plan_job(job.as_ref(), moment)).catch_unwind();
            let error = match planning.await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(panic) => JobError::Panicked(panic_message(&*panic)),
            };
            if error.is_of_database() {
                failed.get_or_insert(error);
                continue;
            }
            match self.failures.fail(Instant::now(), &error.to_string()) {
                FailureLine::First => {
                    tracing::error!(job = job.name(), %error, "cannot plan a job's slots");
                }
                FailureLine::Again(until_now) => tracing::error!(
                    job = job.name(),
                    %error,
                    failures = until_now.count,
                    seconds = until_now.seconds,
                    "jobs' slots can still not be planned"
                ),
                FailureLine::Quiet => (),
            }
            failed.get_or_insert(error);
        }
        if failed.is_none()
            && let Some(over) = self.failures.succeed(Instant::now())
        {
            let (failures, seconds) = (over.count, over.seconds);
            tracing::warn!(failures, seconds, "jobs' slots are planned again");
        }
        failed.map_or(Ok(held), Err)
    }

    async fn plan_job(&self, job: &dyn Job, moment: PlanningTime) -> Result<(), JobError> {
        let due = job.plan(moment).await?;
        let entered = slots::enqueue(&self.database, job.name(), &due, moment.now).await?;
        if entered > 0 {
            tracing::debug!(job = job.name(), entered, "slots planned");
        }
        Ok(())
    }

    /// The minute that a replay is at. It began when its first slot was entered, by whichever
    /// process.
    async fn replayed(&self, pace: ReplayClock, now: Millis) -> Result<Minute, JobError> {
        let first = pace.from.start();
        slots::enqueue(
            &self.database,
            IngestMinute::NAME,
            &[PlannedSlot::pending(first)],
            now,
        )
        .await?;
        let row = slots::find(&self.database, IngestMinute::NAME, first, 0).await?;
        let begun = row.map_or(now, |row| row.created_at);
        Ok(pace.minute(Millis(now.since(begun))))
    }
}
