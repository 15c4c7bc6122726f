//! A disk that is full: how much the log says of it.

use std::process::Command;
use std::time::Duration;

use crate::end_to_end::{history, replaying, wait_for_minutes};
use crate::support::base::Base;
use crate::support::eventually;
use crate::support::program::Running;

/// Lines at WARN or ERROR that one cause may take, of all jobs together: some at its begin.
const MAX_LINES: usize = 25;
/// Long enough for dozens of slots, attempts and rounds of planning to fail.
const FULL_FOR: Duration = Duration::from_secs(20);

fn warnings(server: &Running) -> Vec<String> {
    let log = server.log();
    let is_loud = |line: &&str| line.contains("WARN") || line.contains("ERROR");
    log.lines().filter(is_loud).map(str::to_owned).collect()
}

fn limit_files(server: &Running, bytes: &str) {
    let id = server.id().to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    let done = Command::new("prlimit")
        .args(["--pid", &id, &limit])
        .status();
    assert!(done.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_a_few_lines_of_the_log_however_long_it_lasts() {
    let base = Base::local().await;
    // A minute a second.
    let file = history(&base, 60, None);
    let program = replaying(&base, &[file], 60).with_limited_files();
    let mut server = program.up(&[]).await;
    let database = base.database().await;
    eventually("some minutes", async || {
        let done = crate::end_to_end::runs(&database, "ingest-minute", "done").await;
        (done > 2).then_some(())
    })
    .await;
    let before = warnings(&server).len();
    limit_files(&server, "0");
    tokio::time::sleep(FULL_FOR).await;
    let lines = warnings(&server).split_off(before);
    assert!(!lines.is_empty(), "nothing was said");
    assert!(lines.len() <= MAX_LINES, "{}: {lines:#?}", lines.len());
    limit_files(&server, "unlimited");
    wait_for_minutes(&database, 60).await;
    eventually("the end to be said", async || {
        server
            .log()
            .contains("outage of the database ended")
            .then_some(())
    })
    .await;
    server.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_nothing_is_a_few_lines_of_the_log_and_one_when_it_is_over() {
    let base = Base::local().await;
    let file = history(&base, 60, None);
    let mut server = replaying(&base, &[file], 60).up(&[]).await;
    let database = base.database().await;
    eventually("some minutes", async || {
        let done = crate::end_to_end::runs(&database, "ingest-minute", "done").await;
        (done > 2).then_some(())
    })
    .await;
    let raw = base.objects().join("raw");
    let aside = base.objects().join("raw.aside");
    std::fs::rename(&raw, &aside).unwrap();
    std::fs::write(&raw, "").unwrap();
    let before = warnings(&server).len();
    tokio::time::sleep(FULL_FOR).await;
    let lines = warnings(&server).split_off(before);
    assert!(!lines.is_empty(), "nothing was said");
    assert!(lines.len() <= MAX_LINES, "{}: {lines:#?}", lines.len());
    std::fs::remove_file(&raw).unwrap();
    std::fs::rename(&aside, &raw).unwrap();
    eventually("the end to be said", async || {
        server.log().contains("runs go well again").then_some(())
    })
    .await;
    server.interrupt().await;
}
