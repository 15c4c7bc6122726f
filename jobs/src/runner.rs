//! Claims slots, does them under a renewed lease, and decides what follows from a failure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use marketlake_entities::database::{self, outage};
use marketlake_entities::records::job_runs::State;
use marketlake_entities::{Millis, backoff};
use metrics::{counter, histogram};
use sea_orm::DatabaseConnection;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Due, Job, JobError, Run, slots};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a worker waits for a wake-up before it looks for itself.
const LOOK: Duration = Duration::from_secs(1);
/// How long the slot table may take for one answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a run may go on once the process is to stop.
const STOPPING: Duration = Duration::from_secs(7);

/// Does slots in this process.
#[derive(Clone)]
pub struct Runner {
    database: DatabaseConnection,
    worker: String,
    wake: Arc<Notify>,
    stop: CancellationToken,
}

/// What came of [`Runner::run_once`].
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
    /// A runner that calls itself `worker` in the slot table, and claims nothing more once `stop` is cancelled.
    #[must_use]
    pub fn new(database: DatabaseConnection, worker: String, stop: CancellationToken) -> Self {
        Self {
            database,
            worker,
            wake: Arc::new(Notify::new()),
            stop,
        }
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

    /// Does a job's slots, one at a time, until told to stop; then ends what runs, or gives it back.
    pub async fn work(&self, job: Arc<dyn Job>) {
        let mut outage = outage::DATABASE.reporter(job.name());
        while !self.stop.is_cancelled() {
            let woken = self.wake.notified();
            let waits_for = job.policy().waits_for;
            let claim = slots::claim(&self.database, job.name(), &self.worker, waits_for);
            match in_time(claim).await {
                Ok(Some(run)) => {
                    outage.succeed();
                    self.execute(job.as_ref(), &run).await;
                    // What a run committed may be another job's start.
                    self.wake();
                }
                Ok(None) => {
                    outage.succeed();
                    self.idle(woken).await;
                }
                Err(error) => {
                    outage.fail_statement(&self.database, &error).await;
                    self.idle(woken).await;
                }
            }
        }
    }

    async fn idle(&self, woken: impl Future<Output = ()>) {
        tokio::select! {
            () = woken => (),
            () = sleep(LOOK) => (),
            () = self.stopping() => (),
        }
    }

    /// Does one slot now, whatever the plan says; one that has ended only if `again`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn run_once(
        &self,
        job: &dyn Job,
        slot: Millis,
        shard: i32,
        again: bool,
    ) -> Result<RunOnce, JobError> {
        let now = database::clock(&self.database).await?;
        let due = Due {
            shard,
            ..Due::pending(slot)
        };
        let name = job.name();
        slots::enter(&self.database, name, &[due], now).await?;
        if again {
            slots::reopen(&self.database, name, slot, shard, &slots::ENDED, now).await?;
        }
        let claimed = slots::claim_slot(&self.database, name, &self.worker, slot, shard).await?;
        if let Some(run) = &claimed {
            self.execute(job, run).await;
        }
        let row = slots::find(&self.database, name, slot, shard).await?;
        let row =
            row.ok_or_else(|| sea_orm::DbErr::RecordNotFound(format!("{} {slot}", job.name())))?;
        Ok(match row.state {
            State::Done if claimed.is_some() => RunOnce::Done(row.outcome.unwrap_or_default()),
            State::Done => RunOnce::AlreadyDone(row.outcome.unwrap_or_default()),
            State::Running => RunOnce::Held,
            State::Pending | State::Failed | State::Missed => {
                RunOnce::Failed(row.error.unwrap_or_default())
            }
        })
    }

    async fn execute(&self, job: &dyn Job, run: &Run) {
        let begun = Instant::now();
        let result = self.attempt(job, run).await;
        histogram!("marketlake_job_seconds", "job" => job.name())
            .record(begun.elapsed().as_secs_f64());
        let outcome = match result {
            Ok(()) => "done",
            Err(error) => match in_time(self.after_failure(job, run, &error)).await {
                Ok(outcome) => outcome,
                Err(database_error) => {
                    tracing::error!(job = job.name(), slot = %run.slot, %error, %database_error, "cannot record a failure; the lease will run out");
                    "lost"
                }
            },
        };
        counter!("marketlake_job_runs_total", "job" => job.name(), "outcome" => outcome)
            .increment(1);
    }

    async fn attempt(&self, job: &dyn Job, run: &Run) -> Result<(), JobError> {
        let policy = job.policy();
        if run.attempts > policy.attempts {
            return Err(JobError::WornOut(policy.attempts));
        }
        if let Some(deadline) = job.deadline(run.slot)
            && in_time(database::clock(&self.database)).await? > deadline
        {
            return Err(JobError::TooLate(deadline));
        }
        tokio::select! {
            result = timeout(policy.timeout, job.run(run)) => result.unwrap_or(Err(JobError::TimedOut(policy.timeout))),
            lost = self.keep_lease(run) => lost,
            () = self.stopped() => Err(JobError::Stopped),
        }
    }

    async fn stopped(&self) {
        self.stopping().await;
        sleep(STOPPING).await;
    }

    /// Renews the lease for as long as the run goes on; ends only when it is lost.
    async fn keep_lease(&self, run: &Run) -> Result<(), JobError> {
        loop {
            sleep(slots::LEASE / 3).await;
            match in_time(slots::renew(&self.database, run)).await {
                Ok(true) => (),
                Ok(false) => return Err(JobError::Fenced),
                Err(error) => tracing::warn!(slot = %run.slot, %error, "cannot renew a lease"),
            }
        }
    }

    async fn after_failure(
        &self,
        job: &dyn Job,
        run: &Run,
        error: &JobError,
    ) -> Result<&'static str, JobError> {
        let now = database::clock(&self.database).await?;
        let again_at = error
            .retry()
            .map(|asked| now.plus(asked.unwrap_or_else(|| pause(run.attempts))));
        let deadline = job.deadline(run.slot);
        let (state, word) = match again_at {
            // Not the slot's fault: it does not count as a failure.
            Some(_) if matches!(error, JobError::Stopped) => (State::Pending, "stopped"),
            Some(at) if deadline.is_some_and(|deadline| at > deadline) => (State::Missed, "missed"),
            Some(_) if run.attempts < job.policy().attempts => (State::Pending, "retry"),
            _ => (State::Failed, "failed"),
        };
        tracing::warn!(job = job.name(), slot = %run.slot, attempt = run.attempts, outcome = word, %error, "run failed");
        let not_before = again_at.unwrap_or(now);
        slots::give_back(&self.database, run, state, not_before, &error.to_string()).await?;
        Ok(word)
    }
}

/// A database that neither answers nor fails must not hold a worker for ever.
pub(crate) async fn in_time<T, E: Into<JobError>>(
    statement: impl Future<Output = Result<T, E>>,
) -> Result<T, JobError> {
    match timeout(PATIENCE, statement).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(JobError::TimedOut(PATIENCE)),
    }
}

fn pause(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    backoff(FIRST_PAUSE, LONGEST_PAUSE, failed, rand::random())
}
