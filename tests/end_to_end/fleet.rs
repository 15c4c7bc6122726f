//! Several machines: four processes, one Postgres, one S3, and a feed in sixteen parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use marketlake_entities::records::job_runs::{self, JobRunState};
use marketlake_lake::Span;
use sea_orm::EntityTrait;

use super::{first, runs};
use crate::support::DEEP;
use crate::support::base::Base;
use crate::support::eventually;
use crate::support::program::Program;

const PROCESSES: usize = 4;
const SHARDS: usize = 16;
const MINUTES: usize = 8;
const METRICS: usize = 160;

#[tokio::test(flavor = "multi_thread")]
async fn four_processes_share_sixteen_parts_and_outlive_one_of_them() {
    let base = Base::remote().await;
    let feed = format!(
        "[{{kind=\"replay\",market=\"bittrex\",speed=60.0,shards={SHARDS},files=[\"{}\"]}}]",
        history(&base)
    );
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", feed);
    let database = base.database().await;
    // The first stops in the middle of a part: its object is written, its commit is not. There it
    // is killed.
    let doomed = program
        .clone()
        .with("FAILPOINTS", "between-object-and-commit=3*off->pause");
    let mut doomed = doomed.start(&["up", "--role", "scheduler"]);
    let held = eventually("the first to hold its fourth part", async || {
        let all = job_runs::Entity::find().all(&database).await.unwrap();
        let parts = all.into_iter().filter(|row| row.job == "ingest-minute");
        let mut running: Vec<_> = parts
            .filter(|row| row.state == JobRunState::Running)
            .collect();
        let done = runs(&database, "ingest-minute", "done").await;
        running.pop().filter(|_| done == 3)
    })
    .await;
    let mut others: Vec<_> = (1..PROCESSES)
        .map(|_| program.start(&["up", "--role", "scheduler"]))
        .collect();
    let slots = i64::try_from(MINUTES * SHARDS).unwrap();
    // Its slots become free when their leases expire, within half a minute.
    eventually(
        "the others to do all but what the dead one holds",
        async || {
            let done = runs(&database, "ingest-minute", "done").await;
            if done >= slots / 2 {
                doomed.kill();
            }
            (done == slots).then_some(())
        },
    )
    .await;
    eventually("the minutes to be evaluated", async || {
        let evaluated = runs(&database, "detect-jumps", "done").await;
        (evaluated == i64::try_from(MINUTES).unwrap()).then_some(())
    })
    .await;
    for other in &mut others {
        assert_eq!(other.interrupt().await.0, 0);
    }

    let rows = job_runs::Entity::find().all(&database).await.unwrap();
    let ingested: Vec<_> = rows
        .iter()
        .filter(|row| row.job == "ingest-minute")
        .collect();
    let of_slots: BTreeSet<_> = ingested.iter().map(|row| (row.slot, row.shard)).collect();
    assert_eq!(
        (ingested.len(), of_slots.len()),
        (MINUTES * SHARDS, MINUTES * SHARDS)
    );
    assert!(ingested.iter().all(|row| row.state == JobRunState::Done));
    let again = ingested.iter().copied().filter(|row| row.token > 1);
    let (taken_over, staged_again): (Vec<&job_runs::Model>, Vec<&job_runs::Model>) =
        again.partition(|row| row.id == held.id);
    assert_eq!(taken_over.len(), 1);
    assert_ne!(taken_over[0].worker, held.worker);
    // A minute of long ago is merged at once: a commit that meets such a merge is staged again, and
    // says so.
    for row in &staged_again {
        let error = row.error.as_deref().unwrap_or_default();
        assert!(error.contains("was changed by another commit"), "{row:?}");
    }
    let mut by_worker: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &ingested {
        *by_worker.entry(row.worker.as_deref().unwrap()).or_default() += 1;
    }
    eprintln!(
        "parts by process: {by_worker:?}; {} staged again",
        staged_again.len()
    );
    assert_eq!(by_worker.len(), PROCESSES, "{by_worker:?}");

    let lake = base.lake().await;
    let samples = lake.datafusion().samples(Span::ALL).await.unwrap();
    assert_eq!(samples.len(), MINUTES * METRICS);
    for sample in &samples {
        let number: usize = sample.metric.pair()[1..].parse().unwrap();
        let minute = usize::try_from(sample.ts.number() - first().number()).unwrap();
        assert_eq!(sample.value.to_string(), value(number, minute));
    }
    assert_eq!(
        lake.maintenance().check(DEEP).await.unwrap().problems,
        Vec::<String>::new()
    );
}

fn value(number: usize, minute: usize) -> String {
    (1 + number * 7 + minute).to_string()
}

fn history(base: &Base) -> String {
    let mut text = "metric,ts,value\n".to_owned();
    for minute in 0..MINUTES {
        let ts = first().plus(i64::try_from(minute).unwrap());
        for number in 0..METRICS {
            writeln!(text, "bittrex:m{number},{ts},{}", value(number, minute)).unwrap();
        }
    }
    let path = base.path().join("fleet.csv");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
