//! Supervision: a background task that panics is started again; one that always panics ends the
//! process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use marketlake_entities::database;
use marketlake_entities::records::job_runs::JobRunState;
use marketlake_jobs::supervisor::{Restarts, supervise};
use marketlake_jobs::{
    Job, JobContext, JobError, PlannedSlot, PlanningTime, Policy, Runner, slots,
};
use marketlake_model::Millis;
use sea_orm::DatabaseConnection;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::program::Program;

const QUICK: Restarts = Restarts {
    max: 5,
    window: Duration::from_secs(300),
    initial_backoff: Duration::from_millis(1),
    max_backoff: Duration::from_millis(2),
};

#[tokio::test]
async fn a_task_that_panics_is_started_again_and_too_many_panics_are_an_error() {
    let (starts, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let start = || {
        let nth = starts.fetch_add(1, Ordering::SeqCst);
        async move {
            assert!(nth == usize::MAX, "start {nth}");
            Ok(())
        }
    };
    let error = supervise("odd", QUICK, &stop, start).await.unwrap_err();
    assert_eq!(starts.load(Ordering::SeqCst), 6);
    assert_eq!(
        error.to_string(),
        "task odd: ended 6 times within 300 s, the last time: start 5"
    );
}

#[tokio::test]
async fn a_task_that_ends_unasked_is_started_again_until_the_process_stops() {
    let (starts, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let start = || {
        let (nth, stop) = (starts.fetch_add(1, Ordering::SeqCst), stop.clone());
        async move {
            if nth == 2 {
                stop.cancel();
            }
            if nth == 1 {
                Err("no".to_owned())
            } else {
                Ok(())
            }
        }
    };
    assert_eq!(supervise("brief", QUICK, &stop, start).await, Ok(()));
    assert_eq!(starts.load(Ordering::SeqCst), 3);
}

/// Panics at slot 1.
struct Panics(DatabaseConnection);

#[async_trait]
impl Job for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(5),
            attempts: 2,
            dependencies: &[],
        }
    }

    async fn plan(&self, _moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        Ok(vec![])
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        assert!(run.slot != Millis(1), "slot one is odd");
        run.finish(&self.0, &json!({})).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_panics_fails_and_its_worker_goes_on() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let now = database::clock(&database).await.unwrap();
        let due = [1, 2].map(|slot| PlannedSlot::pending(Millis(slot)));
        slots::enqueue(&database, "panics", &due, now)
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let runner = Runner::new(database.clone(), "w".to_owned(), stop.clone());
        let job = Arc::new(Panics(database.clone()));
        let working = tokio::spawn(async move { runner.work(job).await });
        let state = async |slot| {
            let row = slots::find(&database, "panics", Millis(slot), 0).await;
            let row = row.unwrap().unwrap();
            (row.state, row.error)
        };
        eventually("both slots to end", async || {
            let (one, two) = (state(1).await.0, state(2).await.0);
            ((one, two) == (JobRunState::Failed, JobRunState::Done)).then_some(())
        })
        .await;
        assert_eq!(
            state(1).await.1.as_deref(),
            Some("panicked: slot one is odd")
        );
        stop.cancel();
        working.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_planner_and_follower_that_panic_are_started_again() {
    let base = Base::local().await;
    let panics = "worker-loop=3*panic(odd);planner-loop=2*panic(odd);follow-loop=2*panic(odd)";
    let program = Program::on(&base)
        .with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]")
        .with("FAILPOINTS", panics);
    let mut server = program.up(&[]).await;
    let database = base.database().await;
    eventually("a minute", async || {
        let done = crate::end_to_end::runs(&database, "detect-jumps", "done").await;
        (done > 0).then_some(())
    })
    .await;
    let log = server.end_log();
    for task in ["planner", "follow"] {
        let words = format!("task {task} panicked: ");
        assert!(log.contains(&words), "{words}: {log}");
    }
    // Two of each of them, and three of workers.
    let tasks = log
        .lines()
        .filter(|line| line.contains("task ") && line.contains(" panicked: "));
    assert_eq!(tasks.count(), 7, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_panics_again_and_again_ends_the_process_with_an_error() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]")
        .with("FAILPOINTS", "planner-loop=panic(odd)");
    let mut server = program.start(&["up"]);
    let code = eventually("the process to end", async || server.exit_code()).await;
    assert_eq!(code, 1);
    let log = server.end_log();
    let words = "task planner: ended 6 times within 300 s, the last time: ";
    assert!(log.contains(words), "{log}");
}
