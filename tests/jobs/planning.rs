//! Planning: slots that are due and missing are planned without a call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use marketlake_entities::records::job_runs::{self, JobRunState};
use marketlake_feeds::{Batch, Coverage, Feed, FeedError};
use marketlake_jobs::{IngestMinute, Job, PlannedSlot, PlanningTime, Source, slots};
use marketlake_lake::Lake;
use marketlake_model::{Millis, Minute, parse_time};
use sea_orm::EntityTrait;

use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::exchange::{Answer, Exchange};
use crate::support::program::Program;
use crate::support::samples::minute;

const OUTAGE_MINUTES: i64 = 20;

/// The state of each minute of `ingest-minute`.
async fn minutes(base: &Base) -> BTreeMap<Minute, JobRunState> {
    let rows = job_runs::Entity::find()
        .all(&base.database().await)
        .await
        .unwrap();
    let ingest = rows.into_iter().filter(|row| row.job == "ingest-minute");
    ingest.map(|row| (row.slot.minute(), row.state)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_every_missing_minute_is_ingested_and_evaluated() {
    on_both(async |base: Base| {
        let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
        let before = Millis::from(Utc::now()).minute().plus(-OUTAGE_MINUTES);
        program
            .ok(&["run", "ingest-minute", "--slot", &before.to_string()])
            .await;
        let mut server = program.up(&["--role", "scheduler,api"]).await;
        let minutes = eventually("the outage to be caught up", async || {
            let minutes = minutes(&base).await;
            let whole = minutes.len() >= usize::try_from(OUTAGE_MINUTES).unwrap();
            (whole && minutes.values().all(|state| *state == JobRunState::Done)).then_some(minutes)
        })
        .await;
        let numbers: Vec<i64> = minutes.keys().map(|minute| minute.number()).collect();
        assert!(
            numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{numbers:?}"
        );
        let series = server.json("/v1/metric/hottry/timeseries").await;
        assert!(series["data"].as_array().unwrap().len() >= numbers.len());
        server.interrupt().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_that_a_live_feed_was_not_asked_for_is_missed_and_never_made_up() {
    on_both(async |base: Base| {
        let exchange = Exchange::with([Answer::tickers(&[("A", "1")])]).await;
        let simulated = Program::on(&base).with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
        let before = Millis::from(Utc::now()).minute().plus(-OUTAGE_MINUTES);
        simulated
            .ok(&["run", "ingest-minute", "--slot", &before.to_string()])
            .await;
        let feeds = format!("[{{kind=\"binance\",base_url=\"{}\"}}]", exchange.url);
        let mut server = Program::on(&base)
            .with("MARKETLAKE_FEEDS", feeds)
            .up(&[])
            .await;
        let minutes = eventually("a live minute", async || {
            let minutes = minutes(&base).await;
            let done = minutes
                .values()
                .filter(|state| **state == JobRunState::Done)
                .count();
            (done >= 2).then_some(minutes)
        })
        .await;
        server.interrupt().await;
        let missed = minutes
            .values()
            .filter(|state| **state == JobRunState::Missed)
            .count();
        assert!(
            missed >= usize::try_from(OUTAGE_MINUTES).unwrap() - 2,
            "{minutes:?}"
        );
        let requests = exchange.requests();
        let polls = requests.iter().filter(|path| path.contains("/ticker/"));
        assert!(polls.count() <= 2, "{requests:?}");
    })
    .await;
}

/// A feed that is planned for, and never requested.
struct Planned(Coverage);

#[async_trait::async_trait]
impl Feed for Planned {
    fn name(&self) -> &str {
        "planned"
    }

    fn coverage(&self) -> Coverage {
        self.0
    }

    async fn samples(&self, _slot: Minute) -> Result<Batch, FeedError> {
        Err(FeedError::Empty {
            url: "nowhere".to_owned(),
            rejected: 0,
            first: None,
        })
    }
}

fn covering(lake: &Arc<Lake>, coverages: &[Coverage]) -> IngestMinute {
    let feed = |coverage: &Coverage| Source::whole(Arc::new(Planned(*coverage)));
    let sources = coverages.iter().map(feed).collect();
    IngestMinute::new(Arc::clone(lake), sources, None)
}

/// The slots that are planned at a time, each with its state.
async fn planned_at(job: &IngestMinute, time: &str) -> Vec<(Minute, JobRunState)> {
    let now = parse_time(time).unwrap();
    let minute = now.minute();
    let due = job.plan(PlanningTime { now, minute }).await.unwrap();
    due.iter()
        .map(|due| (due.slot.minute(), due.state))
        .collect()
}

async fn enter(lake: &Lake, slot: &str) {
    let slot = minute(slot).start();
    let due = [PlannedSlot::pending(slot)];
    slots::enqueue(lake.database(), IngestMinute::NAME, &due, slot)
        .await
        .unwrap();
}

const RECENT: Coverage = Coverage::Recent { minutes: 10 };

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_is_recorded_once_it_is_over() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let ended = minute("2026-11-24T10:30:00Z");
        let first = [(ended, JobRunState::Pending)];
        for coverage in [Coverage::LiveOnly, RECENT, Coverage::Historical] {
            let job = covering(&lake, &[coverage]);
            assert_eq!(planned_at(&job, "2026-11-24T10:31:00.000Z").await, first);
            assert_eq!(job.due(ended.start()), ended.plus(1).start());
        }
        // A lake does not begin with a minute whose live price is gone within 5 seconds.
        let live = covering(&lake, &[Coverage::LiveOnly]);
        assert_eq!(planned_at(&live, "2026-11-24T10:31:40.000Z").await, first);
        assert_eq!(planned_at(&live, "2026-11-24T10:31:40.001Z").await, []);
        enter(&lake, "2026-11-24T10:30:00Z").await;
        assert_eq!(planned_at(&live, "2026-11-24T10:31:59.999Z").await, []);
        let next = [(ended.plus(1), JobRunState::Pending)];
        assert_eq!(planned_at(&live, "2026-11-24T10:32:00.000Z").await, next);
        let too_late = [(ended.plus(1), JobRunState::Missed)];
        assert_eq!(
            planned_at(&live, "2026-11-24T10:32:45.001Z").await,
            too_late
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recent_feed_catches_up_what_it_still_holds_and_no_more() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        enter(&lake, "2026-11-24T10:00:00Z").await;
        let job = covering(&lake, &[RECENT]);
        let newest = minute("2026-11-24T10:30:00Z");
        let all: Vec<Minute> = (-29..=0).map(|back| newest.plus(back)).collect();
        // At 10:31 exactly it holds ten minutes before the newest one, a moment later nine.
        for (time, first_held) in [("10:31:00.000Z", -10), ("10:31:00.001Z", -9)] {
            let planned = planned_at(&job, &format!("2026-11-24T{time}")).await;
            let minutes: Vec<Minute> = planned.iter().map(|(minute, _)| *minute).collect();
            assert_eq!(minutes, all);
            for (minute, state) in planned {
                let is_held = minute >= newest.plus(first_held);
                assert_eq!(state == JobRunState::Pending, is_held, "{time}: {minute}");
                assert_eq!(state == JobRunState::Missed, !is_held, "{time}: {minute}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_feeds_the_one_that_covers_least_sets_the_deadline() {
    let base = Base::local().await;
    let lake = base.lake().await;
    let few = Coverage::Recent { minutes: 3 };
    let slot = minute("2026-11-24T10:30:00Z").start();
    for (coverages, seconds) in [
        (vec![Coverage::Historical], None),
        (vec![Coverage::Historical, RECENT], Some(60 + 600)),
        (vec![RECENT, few, Coverage::Historical], Some(60 + 180)),
        (vec![few, Coverage::LiveOnly, RECENT], Some(60 + 45)),
    ] {
        let deadline = covering(&lake, &coverages).deadline(slot);
        let expected = seconds.map(|seconds| slot.plus(Duration::from_secs(seconds)));
        assert_eq!(deadline, expected, "{coverages:?}");
    }
}
