//! Slots: each is done once, by whichever worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use marketlake_entities::database;
use marketlake_entities::records::job_runs::JobRunState;
use marketlake_jobs::{
    Clock, Dependency, Job, JobContext, JobError, PlannedSlot, PlanningTime, Policy, RunOnce,
    Runner, slots,
};
use marketlake_model::Millis;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::base::{Base, on_both};
use crate::support::eventually;

/// Counts how often each slot was done; fails as often as told first.
struct Count {
    database: DatabaseConnection,
    done: Mutex<BTreeMap<i64, usize>>,
    failures: AtomicI32,
    dependencies: &'static [Dependency],
}

impl Count {
    fn new(database: &DatabaseConnection, failures: i32) -> Arc<Self> {
        Arc::new(Self {
            database: database.clone(),
            done: Mutex::default(),
            failures: AtomicI32::new(failures),
            dependencies: &[],
        })
    }
}

#[async_trait]
impl Job for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(5),
            attempts: 3,
            dependencies: self.dependencies,
        }
    }

    async fn plan(&self, _moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        Ok(vec![])
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        if self.failures.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(JobError::TimedOut(Duration::ZERO));
        }
        run.finish(&self.database, &json!({"slot": run.slot.0}))
            .await?;
        *self.done.lock().unwrap().entry(run.slot.0).or_default() += 1;
        Ok(())
    }
}

async fn enter(database: &DatabaseConnection, job: &str, slots: &[i64]) -> u64 {
    let due: Vec<PlannedSlot> = slots
        .iter()
        .map(|&slot| PlannedSlot::pending(Millis(slot)))
        .collect();
    let now = database::clock(database).await.unwrap();
    slots::enqueue(database, job, &due, now).await.unwrap()
}

async fn state(database: &DatabaseConnection, slot: i64) -> JobRunState {
    slots::find(database, "count", Millis(slot), 0)
        .await
        .unwrap()
        .unwrap()
        .state
}

fn runner(database: &DatabaseConnection, name: &str) -> Runner {
    Runner::new(database.clone(), name.to_owned(), CancellationToken::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_do_each_slot_once() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let all: Vec<i64> = (0..60).collect();
        assert_eq!(enter(&database, "count", &all).await, 60);
        assert_eq!(enter(&database, "count", &all).await, 0);
        let job = Count::new(&database, 0);
        let stop = CancellationToken::new();
        for worker in 0..6 {
            let runner = Runner::new(base.database().await, format!("w{worker}"), stop.clone());
            let job = Arc::clone(&job);
            tokio::spawn(async move { runner.work(job).await });
        }
        eventually("all slots to be done", async || {
            (job.done.lock().unwrap().len() == 60).then_some(())
        })
        .await;
        stop.cancel();
        assert!(job.done.lock().unwrap().values().all(|&times| times == 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_slot_is_tried_again_and_in_the_end_given_up() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let runner = runner(&database, "w");
        let job = Count::new(&database, 1);
        let first = runner
            .run_once(job.as_ref(), Millis(1), 0, false)
            .await
            .unwrap();
        assert!(matches!(first, RunOnce::Failed(_)), "{first:?}");
        assert_eq!(state(&database, 1).await, JobRunState::Pending);
        let second = runner
            .run_once(job.as_ref(), Millis(1), 0, false)
            .await
            .unwrap();
        assert!(
            matches!(&second, RunOnce::Done(outcome) if outcome == "{\"slot\":1}"),
            "{second:?}"
        );
        let third = runner
            .run_once(job.as_ref(), Millis(1), 0, false)
            .await
            .unwrap();
        assert!(matches!(third, RunOnce::AlreadyDone(_)), "{third:?}");
        let hopeless = Count::new(&database, 100);
        for _ in 0..3 {
            runner
                .run_once(hopeless.as_ref(), Millis(2), 0, false)
                .await
                .unwrap();
        }
        assert_eq!(state(&database, 2).await, JobRunState::Failed);
        assert_eq!(hopeless.failures.load(Ordering::SeqCst), 97);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_commits_nothing() {
    on_both(async |base: Base| {
        let database = base.database().await;
        enter(&database, "count", &[1]).await;
        let slow = slots::claim(&database, "count", "slow", &[], &Clock::system())
            .await
            .unwrap()
            .unwrap();
        assert!(
            slots::claim(&database, "count", "quick", &[], &Clock::system())
                .await
                .unwrap()
                .is_none()
        );
        database
            .execute_unprepared("update job_runs set lease_until = 1")
            .await
            .unwrap();
        let quick = slots::claim(&database, "count", "quick", &[], &Clock::system())
            .await
            .unwrap()
            .unwrap();
        assert!(!slots::renew(&database, &slow).await.unwrap());
        let fenced = slow.finish(&database, &json!({})).await.unwrap_err();
        assert!(matches!(fenced, JobError::Fenced), "{fenced}");
        quick
            .finish(&database, &json!({"by": "quick"}))
            .await
            .unwrap();
        let row = slots::find(&database, "count", Millis(1), 0)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (row.state, row.token, row.worker.as_deref()),
            (JobRunState::Done, 2, Some("quick"))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_waits_for_the_earlier_slots_of_another_job() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let minute = 60_000;
        enter(&database, "first", &[0, minute]).await;
        enter(&database, "count", &[2 * minute]).await;
        let dependencies = [Dependency {
            job: "first",
            from_ms: -minute,
            to_ms: 0,
        }];
        let clock = Clock::system();
        let claim = || slots::claim(&database, "count", "w", &dependencies, &clock);
        assert!(claim().await.unwrap().is_none());
        // The slot before the one that is waited for does not count; the other one ends.
        let earlier = slots::claim_slot(&database, "first", "w", Millis(minute), 0, &clock)
            .await
            .unwrap()
            .unwrap();
        assert!(claim().await.unwrap().is_none());
        earlier.finish(&database, &json!({})).await.unwrap();
        assert_eq!(claim().await.unwrap().unwrap().slot, Millis(2 * minute));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_work_opens_a_slot_that_is_done_again_but_not_one_that_was_given_up() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let reopening = |slot| PlannedSlot {
            reopen: true,
            ..PlannedSlot::pending(Millis(slot))
        };
        let now = database::clock(&database).await.unwrap();
        runner(&database, "w")
            .run_once(Count::new(&database, 0).as_ref(), Millis(1), 0, false)
            .await
            .unwrap();
        for _ in 0..3 {
            runner(&database, "w")
                .run_once(Count::new(&database, 9).as_ref(), Millis(2), 0, false)
                .await
                .unwrap();
        }
        slots::enqueue(&database, "count", &[reopening(1), reopening(2)], now)
            .await
            .unwrap();
        assert_eq!(state(&database, 1).await, JobRunState::Pending);
        assert_eq!(state(&database, 2).await, JobRunState::Failed);
        // A person may request it.
        let ran = runner(&database, "w")
            .run_once(Count::new(&database, 0).as_ref(), Millis(2), 0, true)
            .await
            .unwrap();
        assert!(matches!(ran, RunOnce::Done(_)), "{ran:?}");
    })
    .await;
}
