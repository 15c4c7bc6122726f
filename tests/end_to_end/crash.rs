//! SIGKILL at the two places where something could be lost or doubled.

use std::path::PathBuf;
use std::time::Duration;

use marketlake_entities::database;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::{history, replaying, runs, subscribe, wait_for_minutes};
use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::mailbox::{Fault, Mailbox};

const MINUTES: usize = 66;
const TRIPLED: usize = 63;
/// The object of that minute.
const OBJECT: &str = "raw/dt=2018-01-21/hour=01/03-";

/// Has the process stop for ever at a point, there kills it, then lets another one go on.
async fn kill_at(
    base: &Base,
    point: &str,
    is_there: impl AsyncFn(&DatabaseConnection) -> bool,
) -> Mailbox {
    let database = base.database().await;
    let file = history(base, MINUTES, Some(TRIPLED));
    let mailbox = Mailbox::open(Fault::None).await;
    let program = replaying(base, &[file], 6_000).with("MARKETLAKE_MAIL__URL", &mailbox.url);
    subscribe(&program, "ethbtc").await;
    let failpoint = format!("{point}={TRIPLED}*off->pause");
    let mut doomed = program.clone().with("FAILPOINTS", failpoint).start(&["up"]);
    eventually(&format!("the process to stop {point}"), async || {
        is_there(&database).await.then_some(())
    })
    .await;
    assert!(doomed.is_running());
    doomed.kill();
    assert_eq!(mailbox.mails().len(), 0);

    // The lease of the dead would run out by itself within half a minute.
    database
        .execute_unprepared("update job_runs set lease_until = 1 where state = 'running'")
        .await
        .unwrap();
    let mut server = program.up(&[]).await;
    wait_for_minutes(&database, MINUTES).await;
    eventually("the mail", async || {
        (!mailbox.mails().is_empty()).then_some(())
    })
    .await;
    let series = server.json("/v1/metric/ethbtc/timeseries").await;
    assert_eq!(series["data"].as_array().unwrap().len(), MINUTES);
    server.interrupt().await;

    let lake = base.lake().await;
    assert_eq!(
        lake.stats().await.unwrap().samples,
        2 * i64::try_from(MINUTES).unwrap()
    );
    assert_eq!(
        lake.maintenance().check(DEEP).await.unwrap().problems,
        Vec::<String>::new()
    );
    assert_eq!(mailbox.mails().len(), 1);
    mailbox
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_object_and_commit_nothing_is_lost_or_doubled() {
    on_both(async |base: Base| {
        kill_at(&base, "between-object-and-commit", async |database| {
            // Every minute before is committed, and the object of this one is there.
            let done = runs(database, "ingest-minute", "done").await;
            let object = |path: &PathBuf| path.to_string_lossy().contains(OBJECT);
            usize::try_from(done).unwrap() == TRIPLED && base.object_files().iter().any(object)
        })
        .await;
        // Vacuum deletes the object that nobody reads. It also counts upload intents whose object
        // was not written yet when their process ended.
        let lake = base.lake().await;
        let maintenance = lake.maintenance();
        let unlisted = maintenance.check(DEEP).await.unwrap().unlisted as u64;
        assert!(unlisted >= 1);
        let later = database::clock(lake.database())
            .await
            .unwrap()
            .plus(Duration::from_secs(7_200));
        let vacuumed = maintenance.vacuum(later, Duration::from_secs(3_600));
        let vacuumed = vacuumed.await.unwrap();
        assert!(vacuumed.unlisted >= unlisted, "{vacuumed}");
        assert_eq!(maintenance.check(DEEP).await.unwrap().unlisted, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_commit_and_detection_the_jump_is_still_found_once() {
    on_both(async |base: Base| {
        kill_at(&base, "between-commit-and-detection", async |database| {
            let evaluated = runs(database, "detect-jumps", "done").await;
            let evaluating = runs(database, "detect-jumps", "running").await;
            usize::try_from(evaluated).unwrap() == TRIPLED && evaluating == 1
        })
        .await;
    })
    .await;
}
