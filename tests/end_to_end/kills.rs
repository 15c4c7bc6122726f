//! SIGKILL at random moments of ingest, delivery, compaction, vacuum, import and rebuild: what was
//! committed is there once, and the lake is whole.
//!
//! `MARKETLAKE_TEST_KILLS` says how often, on each base; few where it says nothing, so that the
//! suite stays fast.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use marketlake_lake::Span;
use marketlake_model::{Exact, Metric, Minute};
use sea_orm::ConnectionTrait;

use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::program::Program;
use crate::support::samples::{metric, minute};

pub(super) const MINUTES: i64 = 200;
pub(super) const FILES: usize = 4;

pub(super) type Lake = BTreeMap<(Metric, Minute), Exact>;

fn first() -> Minute {
    // The history crosses midnight, so that a day ends in it.
    minute("2026-01-01T22:00:00Z")
}

fn value(which: i64, at: i64) -> String {
    format!(
        "{}.{:04}",
        10 + which,
        (at * 37 + which * 101).rem_euclid(9_973)
    )
}

/// History to be ingested minute by minute.
pub(super) fn replayed(base: &Base, expected: &mut Lake) -> PathBuf {
    let mut text = String::from("metric,ts,value\n");
    for at in 0..MINUTES {
        for which in 0..5 {
            let (id, ts) = (format!("live:m{which}"), first().plus(at));
            text += &format!("{id},{ts},{}\n", value(which, at));
            let exact = value(which, at).parse().unwrap();
            expected.insert((metric(&id), ts), exact);
        }
    }
    let path = base.path().join("replay.csv");
    std::fs::write(&path, text).unwrap();
    path
}

/// History to be imported into the same hours, and into days before.
pub(super) fn imported(base: &Base, file: usize, expected: &mut Lake) -> PathBuf {
    let mut text = String::new();
    let which = i64::try_from(file).unwrap();
    for at in -1_500..MINUTES {
        if (at + which) % 3 == 0 {
            let (id, ts) = (format!("file:m{file}"), first().plus(at));
            text += &format!("{id},{ts},{}\n", value(which, at));
            let exact = value(which, at).parse().unwrap();
            expected.insert((metric(&id), ts), exact);
        }
    }
    let path = base.path().join(format!("import-{file}.csv"));
    std::fs::write(&path, text).unwrap();
    path
}

/// Starts a command and kills it at a random moment. Whether it was still running then.
pub(super) async fn kill(program: &Program, arguments: &[&str], within: Duration) -> bool {
    let mut running = program.start(arguments);
    tokio::time::sleep(within.mul_f64(rand::random())).await;
    let alive = running.is_running();
    running.kill();
    alive
}

async fn survive(base: Base, kills: usize) {
    let mut expected = Lake::new();
    let replay = replayed(&base, &mut expected);
    let files: Vec<PathBuf> = (0..FILES)
        .map(|file| imported(&base, file, &mut expected))
        .collect();
    let feeds = format!(
        "[{{kind=\"replay\",files=[\"{}\"],speed=30000.0}}]",
        replay.display()
    );
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", feeds);
    // Nothing is under way while it runs, so that it need not wait for anybody.
    let sweeping = program
        .clone()
        .with("MARKETLAKE_JOBS__VACUUM_GRACE_PERIOD", "0s");
    let database = base.database().await;
    let free = async || {
        // The leases of the dead would run out by themselves within half a minute.
        let sql = "update job_runs set lease_until = 1 where state = 'running'";
        database.execute_unprepared(sql).await.unwrap();
    };
    let mut killed = 0;
    let mut round = 0;
    while killed < kills {
        let file = files[round % FILES].to_str().unwrap();
        let (arguments, within) = match round % 6 {
            0 | 2 => (vec!["up", "--role", "scheduler", "--role", "deliver"], 900),
            1 => (vec!["import", file], 350),
            3 => (vec!["compact"], 500),
            4 => (vec!["rebuild-catalog"], 500),
            _ => (vec!["vacuum"], 250),
        };
        let within = Duration::from_millis(within);
        let program = if arguments[0] == "vacuum" {
            &sweeping
        } else {
            &program
        };
        killed += usize::from(kill(program, &arguments, within).await);
        free().await;
        round += 1;
        if round % 25 == 0 {
            let lake = base.lake().await;
            let report = lake.maintenance().check(DEEP).await.unwrap();
            assert_eq!(
                report.problems,
                Vec::<String>::new(),
                "after {killed} kills"
            );
        }
    }
    // Then all of it to its end.
    let mut server = program.start(&["up", "--role", "scheduler"]);
    super::wait_for_minutes(&database, usize::try_from(MINUTES).unwrap()).await;
    server.interrupt().await;
    for file in &files {
        program.ok(&["import", file.to_str().unwrap()]).await;
    }
    program.ok(&["compact"]).await;
    sweeping.ok(&["vacuum"]).await;
    let checked = program.ok(&["check", "--deep"]).await;
    eprintln!("{}: {killed} kills in {round} rounds; {checked}", base.name);
    assert!(
        checked.ends_with("0 problems, 0 repaired, 0 rows lost\n"),
        "{checked}"
    );
    let lake = base.lake().await;
    let there = lake.datafusion().samples(Span::ALL).await.unwrap();
    assert_eq!(there.len(), expected.len());
    let there: Lake = there
        .into_iter()
        .map(|sample| ((sample.metric, sample.ts), sample.value))
        .collect();
    assert!(there == expected, "another lake than was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_the_lake_is_whole_and_holds_every_sample_once() {
    let kills = std::env::var("MARKETLAKE_TEST_KILLS").ok();
    let kills = kills.map_or(10, |kills| kills.parse().unwrap());
    on_both(async |base: Base| survive(base, kills).await).await;
}
