//! Claims slots, runs their jobs under a renewed lease, and retries failed ones.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fail::fail_point;
use futures::FutureExt;
use marketlake_common::failure_log::FailureLog;
use marketlake_common::health::{Part, Role};
use marketlake_common::{Health, backoff, panic_message};
use marketlake_entities::clock::Clock;
use marketlake_entities::database::outage;
use marketlake_entities::records::job_runs::JobRunState;
use marketlake_model::Millis;
use metrics::{counter, histogram};
use sea_orm::DatabaseConnection;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::clock_repair::MAX_SLOT_PAUSE;
use crate::error::JobError;
use crate::error::Retry;
use crate::job::{Job, JobContext, PlannedSlot};
use crate::jobs::deliver_alerts::DeliverAlerts;
use crate::run_log;
use crate::slots;

/// Attempts at a slot of which a process has nothing: meanwhile another process may claim it.
const MAX_UNCOVERED_ATTEMPTS: i32 = 4;
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// Interval at which a worker polls if nothing wakes it.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of one statement on the slot table.
const SLOT_TABLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for which a run may continue once the process is to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(7);
/// A worker that looks for slots says so within this time; one that does a slot, within the job's
/// timeout and this.
const WORKER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for which a run that could not write counts against its worker, unless one can before: some
/// jobs run once an hour.
const WRITE_FAILURE_TTL: Duration = Duration::from_secs(600);
const CANNOT_CLAIM: &str = "cannot claim slots";
/// Maximum characters of an error that are kept.
const MAX_ERROR_CHARS: usize = 2_000;

/// Does slots in this process.
#[derive(Clone)]
pub struct Runner {
    database: DatabaseConnection,
    worker: String,
    wake: Arc<Notify>,
    stop: CancellationToken,
    clock: Clock,
    health: Health,
}

/// Result of [`Runner::run_once`].
#[derive(Debug)]
pub enum RunOnce {
    /// It is done now; the outcome as JSON text.
    Done(String),
    /// It was done before; the outcome then.
    AlreadyDone(String),
    /// Another worker holds it.
    Held,
    /// It failed or was missed; why.
    Failed(String),
}

impl Runner {
    /// A runner that calls itself `worker` in the slot table, and claims nothing more once `stop`
    /// is cancelled.
    #[must_use]
    pub fn new(database: DatabaseConnection, worker: String, stop: CancellationToken) -> Self {
        Self {
            database,
            worker,
            wake: Arc::new(Notify::new()),
            stop,
            clock: Clock::default(),
            health: Health::default(),
        }
    }

    /// Goes by this clock, in place of one of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Says here how it goes.
    #[must_use]
    pub fn with_health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Enters a job's worker as a part of the process's health.
    pub(crate) fn part(&self, job: &str) -> Part {
        let role = if job == DeliverAlerts::NAME {
            Role::Deliver
        } else {
            Role::Scheduler
        };
        self.health.part(role, job)
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    pub(crate) fn database(&self) -> &DatabaseConnection {
        &self.database
    }

    /// Ends when the process is to stop.
    pub(crate) async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Has all workers look for slots now.
    pub fn wake(&self) {
        self.wake.notify_waiters();
    }

    /// Does a job's slots, one at a time, until told to stop; then ends what runs, or gives it
    /// back.
    pub async fn work(&self, job: Arc<dyn Job>) {
        let part = self.part(job.name());
        let policy = job.policy();
        let mut unwritable: Option<(Instant, String)> = None;
        let mut outage = outage::DATABASE.reporter(job.name());
        let failures = FailureLog::new();
        while !self.stop.is_cancelled() {
            fail_point!("worker-loop");
            let woken = self.wake.notified();
            unwritable = unwritable.filter(|(at, _)| at.elapsed() < WRITE_FAILURE_TTL);
            stand(&part, unwritable.as_ref(), WORKER_TIMEOUT);
            let (name, dependencies) = (job.name(), policy.dependencies);
            let claim = slots::claim(
                &self.database,
                name,
                &self.worker,
                dependencies,
                &self.clock,
            );
            match in_time(claim).await {
                Ok(Some(run)) => {
                    outage.succeed();
                    let longest = policy.timeout.saturating_add(WORKER_TIMEOUT);
                    stand(&part, unwritable.as_ref(), longest);
                    let done = self.execute(job.as_ref(), &run, &failures).await;
                    unwritable = done.err().map(|reason| (Instant::now(), reason));
                    // A run's commit may be another job's start.
                    self.wake();
                }
                Ok(None) => {
                    outage.succeed();
                    // A claim writes nothing where there is nothing to do.
                    unwritable = unwritable.filter(|(_, why)| !why.starts_with(CANNOT_CLAIM));
                    self.idle(woken).await;
                }
                Err(error) => {
                    outage.fail_statement(&self.database, &error).await;
                    unwritable = Some((
                        Instant::now(),
                        format!("{CANNOT_CLAIM}: {}", outage::with_cause(&error)),
                    ));
                    self.idle(woken).await;
                }
            }
        }
    }

    async fn idle(&self, woken: impl Future<Output = ()>) {
        tokio::select! {
            () = woken => (),
            () = sleep(POLL_INTERVAL) => (),
            () = self.stopping() => (),
        }
    }

    /// Does one slot now, whatever the plan says; one that has ended only if `again`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn run_once(
        &self,
        job: &dyn Job,
        slot: Millis,
        shard: i32,
        again: bool,
    ) -> Result<RunOnce, JobError> {
        let now = self.clock.now(&self.database).await?;
        let due = PlannedSlot {
            shard,
            ..PlannedSlot::pending(slot)
        };
        let name = job.name();
        slots::enqueue(&self.database, name, &[due], now).await?;
        if again {
            slots::reopen(&self.database, name, slot, shard, &slots::ENDED, now).await?;
        }
        let claimed =
            slots::claim_slot(&self.database, name, &self.worker, slot, shard, &self.clock).await?;
        if let Some(run) = &claimed {
            // Its row says what came of it.
            let _ = self.execute(job, run, &FailureLog::new()).await;
        }
        let row = slots::find(&self.database, name, slot, shard).await?;
        let row =
            row.ok_or_else(|| sea_orm::DbErr::RecordNotFound(format!("{} {slot}", job.name())))?;
        Ok(match row.state {
            JobRunState::Done if claimed.is_some() => {
                RunOnce::Done(row.outcome.unwrap_or_default())
            }
            JobRunState::Done => RunOnce::AlreadyDone(row.outcome.unwrap_or_default()),
            JobRunState::Running => RunOnce::Held,
            JobRunState::Pending | JobRunState::Failed | JobRunState::Missed => {
                RunOnce::Failed(row.error.unwrap_or_default())
            }
        })
    }

    /// Executes a claimed slot in a log span of its own, and records its outcome. The error says
    /// why nothing can be written.
    async fn execute(
        &self,
        job: &dyn Job,
        run: &JobContext,
        failures: &FailureLog,
    ) -> Result<(), String> {
        // Of the highest level, so that lines have their span whatever the filter.
        let span = tracing::error_span!(
            "job_run",
            id = run.id,
            job = job.name(),
            slot = %run.slot,
            shard = run.shard,
            attempt = run.attempts,
        );
        self.run_and_record(job, run, failures)
            .instrument(span)
            .await
    }

    async fn run_and_record(
        &self,
        job: &dyn Job,
        run: &JobContext,
        failures: &FailureLog,
    ) -> Result<(), String> {
        let begun = Instant::now();
        let result = self.attempt(job, run, failures).await;
        histogram!("marketlake_job_duration_seconds", "job" => job.name())
            .record(begun.elapsed().as_secs_f64());
        let unwritable = result.as_ref().err().and_then(JobError::write_failure);
        let outcome = match result {
            Ok(()) => {
                run_log::over(failures, job.name());
                "done"
            }
            Err(error) => {
                let recorded = in_time(self.after_failure(job, run, &error)).await;
                let outcome = recorded.as_ref().copied().unwrap_or("lost");
                run_log::log(failures, job.name(), run, outcome, &error, recorded.err());
                outcome
            }
        };
        counter!("marketlake_job_runs_total", "job" => job.name(), "outcome" => outcome)
            .increment(1);
        unwritable.map_or(Ok(()), Err)
    }

    async fn attempt(
        &self,
        job: &dyn Job,
        run: &JobContext,
        failures: &FailureLog,
    ) -> Result<(), JobError> {
        let policy = job.policy();
        if run.attempts > policy.attempts {
            return Err(JobError::AttemptsExhausted(policy.attempts));
        }
        if let Some(deadline) = job.deadline(run.slot)
            && in_time(self.clock.now(&self.database)).await? > deadline
        {
            return Err(JobError::TooLate(deadline));
        }
        // A run that panics fails; its worker goes on.
        let running = AssertUnwindSafe(job.run(run)).catch_unwind();
        tokio::select! {
            result = timeout(policy.timeout, running) => match result {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => {
                    let message = panic_message(&*panic);
                    counter!("marketlake_job_panics_total", "job" => job.name()).increment(1);
                    Err(JobError::Panicked(message))
                }
                Err(_) => Err(JobError::TimedOut(policy.timeout)),
            },
            lost = self.keep_lease(run, failures) => lost,
            () = self.stopped() => Err(JobError::Stopped),
        }
    }

    async fn stopped(&self) {
        self.stopping().await;
        sleep(SHUTDOWN_TIMEOUT).await;
    }

    /// Renews the lease for as long as the run goes on; ends only when it is lost.
    async fn keep_lease(&self, run: &JobContext, failures: &FailureLog) -> Result<(), JobError> {
        loop {
            sleep(slots::LEASE / 3).await;
            match in_time(slots::renew(&self.database, run)).await {
                Ok(true) => (),
                Ok(false) => return Err(JobError::Fenced),
                Err(error) => run_log::log_renewal(failures, run, &error),
            }
        }
    }

    async fn after_failure(
        &self,
        job: &dyn Job,
        run: &JobContext,
        error: &JobError,
    ) -> Result<&'static str, JobError> {
        let now = self.clock.now(&self.database).await?;
        // A feed that is paused for longer sends no request before.
        let retry_at = match error.retry() {
            Retry::Never => None,
            Retry::After(pause) => Some(now.plus(pause)),
            Retry::Backoff => Some(now.plus(retry_backoff(run.attempts))),
        };
        let deadline = job.deadline(run.slot);
        let (state, word) = match retry_at {
            _ if error.is_not_covered() && run.attempts >= MAX_UNCOVERED_ATTEMPTS => {
                (JobRunState::Missed, "missed")
            }
            // Not the slot's fault: it does not count as a failure.
            Some(_) if matches!(error, JobError::Stopped) => (JobRunState::Pending, "stopped"),
            Some(at) if deadline.is_some_and(|deadline| at > deadline) => {
                (JobRunState::Missed, "missed")
            }
            Some(_) if run.attempts < job.policy().attempts => (JobRunState::Pending, "retry"),
            _ => (JobRunState::Failed, "failed"),
        };
        let not_before = retry_at.unwrap_or(now).min(now.plus(MAX_SLOT_PAUSE));
        let error: String = outage::with_cause(error)
            .chars()
            .take(MAX_ERROR_CHARS)
            .collect();
        slots::give_back(&self.database, run, state, not_before, &error).await?;
        Ok(word)
    }
}

/// A database that neither answers nor fails must not hold a worker for ever.
pub(crate) async fn in_time<T, E: Into<JobError>>(
    statement: impl Future<Output = Result<T, E>>,
) -> Result<T, JobError> {
    match timeout(SLOT_TABLE_TIMEOUT, statement).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(JobError::TimedOut(SLOT_TABLE_TIMEOUT)),
    }
}

/// Says how a worker stands.
fn stand(part: &Part, unwritable: Option<&(Instant, String)>, within: Duration) {
    match unwritable {
        Some((_, reason)) => part.bad(reason.as_str()),
        None => part.good(within),
    }
}

fn retry_backoff(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    backoff(INITIAL_BACKOFF, MAX_BACKOFF, failed, rand::random())
}
