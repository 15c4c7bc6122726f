//! A minute ingested in parts.

use std::sync::Arc;
use std::time::Duration;

use marketlake_entities::records::job_runs::{Entity, JobRunState};
use marketlake_feeds::{Batch, Coverage, Feed, FeedError, Simulated};
use marketlake_jobs::{
    Clock, DetectJumps, DetectOptions, IngestMinute, Job, MarkIngested, PlannedSlot, PlanningTime,
    RunOnce, Runner, Source, slots,
};
use marketlake_model::{Millis, Minute};
use sea_orm::EntityTrait;
use tokio_util::sync::CancellationToken;

use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::program::Program;
use crate::support::samples::minute;

/// A feed that gives nothing.
struct Dead;

#[async_trait::async_trait]
impl Feed for Dead {
    fn name(&self) -> &str {
        "dead"
    }

    fn coverage(&self) -> Coverage {
        Coverage::Historical
    }

    async fn samples(&self, _slot: Minute) -> Result<Batch, FeedError> {
        Err(FeedError::Empty {
            url: "nowhere".to_owned(),
            rejected: 0,
            first: None,
        })
    }
}

fn runner(lake: &marketlake_lake::Lake, name: &str) -> Runner {
    let stop = CancellationToken::new();
    Runner::new(lake.database().clone(), name.to_owned(), stop)
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_several_processes_take_make_up_the_whole_minute() {
    on_both(async |base: Base| {
        let (one, other) = (base.lake().await, base.lake().await);
        let source = || Source {
            shards: 4.try_into().ok(),
            ..Source::whole(Arc::new(Simulated::new(7)))
        };
        let jobs = [
            IngestMinute::new(Arc::clone(&one), vec![source()], None),
            IngestMinute::new(Arc::clone(&other), vec![source()], None),
        ];
        let now = minute("2026-11-24T10:00:00Z");
        let moment = PlanningTime {
            now: now.plus(1).start(),
            minute: now.plus(1),
        };
        let due = jobs[0].plan(moment).await.unwrap();
        let shards: Vec<i32> = due.iter().map(|due| due.shard).collect();
        assert_eq!(shards, [0, 1, 2, 3]);
        slots::enqueue(one.database(), IngestMinute::NAME, &due, now.start())
            .await
            .unwrap();
        // Both take what they get, at the same time.
        let slot = now.start();
        let runners = [runner(&one, "one"), runner(&other, "other")];
        let runs = (0..4_usize).map(|shard| {
            let number = i32::try_from(shard).unwrap();
            runners[shard % 2].run_once(&jobs[shard % 2], slot, number, false)
        });
        for ran in futures::future::join_all(runs).await {
            assert!(matches!(ran.unwrap(), RunOnce::Done(_)));
        }
        let whole = Simulated::new(7).samples(now).await.unwrap().samples;
        let figures = one.stats().await.unwrap();
        assert_eq!(figures.segments, 4);
        assert_eq!(usize::try_from(figures.samples).unwrap(), whole.len());
        assert_eq!(
            one.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
        // One slot of detection for all of them.
        let all = Entity::find().all(one.database()).await.unwrap();
        let detections = all.iter().filter(|run| run.job == DetectJumps::NAME);
        assert_eq!(detections.count(), 1);
    })
    .await;
}

/// Shards of a minute with their states.
async fn parts(lake: &marketlake_lake::Lake, slot: Minute) -> Vec<(i32, JobRunState)> {
    let all = Entity::find().all(lake.database()).await.unwrap();
    let of_slot = all
        .into_iter()
        .filter(|run| run.job == IngestMinute::NAME && run.slot == slot.start());
    let mut parts: Vec<_> = of_slot.map(|run| (run.shard, run.state)).collect();
    parts.sort_by_key(|(shard, _)| *shard);
    parts
}

#[tokio::test(flavor = "multi_thread")]
async fn only_parts_whose_samples_are_found_are_done_after_a_rebuild() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        let source = || Source {
            shards: 4.try_into().ok(),
            ..Source::whole(Arc::new(Simulated::new(7)))
        };
        let ingest = IngestMinute::new(Arc::clone(&lake), vec![source()], None);
        let minutes = ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"].map(minute);
        let one = runner(&lake, "one");
        // Of the first minute, which is merged, two parts; of the second one, one.
        for (slot, shard) in [(minutes[0], 0), (minutes[0], 2), (minutes[1], 3)] {
            let ran = one.run_once(&ingest, slot.start(), shard, false).await;
            assert!(matches!(ran.unwrap(), RunOnce::Done(_)));
        }
        crate::lake::compact_all(&lake).await;
        base.lose_database().await;
        let lake = base.lake().await;
        let feeds = || {
            let simulated = marketlake_model::SIMULATED.to_owned();
            MarkIngested::of_feeds([(vec![simulated], 4.try_into().ok())])
        };
        let did = lake
            .maintenance()
            .rebuild_catalog(&feeds().with_history(true))
            .await;
        assert_eq!(did.unwrap().slots, 3);
        let (done, pending) = (JobRunState::Done, JobRunState::Pending);
        let expected = [(0, done), (1, pending), (2, done), (3, pending)];
        assert_eq!(parts(&lake, minutes[0]).await, expected);
        let expected = [(0, pending), (1, pending), (2, pending), (3, done)];
        assert_eq!(parts(&lake, minutes[1]).await, expected);
        // They are ingested, and the lake is whole.
        let ingest = IngestMinute::new(Arc::clone(&lake), vec![source()], None);
        let two = runner(&lake, "two");
        for (slot, shard) in minutes
            .into_iter()
            .flat_map(|m| (0..4).map(move |s| (m, s)))
        {
            let ran = two.run_once(&ingest, slot.start(), shard, false).await;
            assert!(matches!(
                ran.unwrap(),
                RunOnce::Done(_) | RunOnce::AlreadyDone(_)
            ));
        }
        let mut samples = 0;
        for minute in minutes {
            samples += Simulated::new(7)
                .samples(minute)
                .await
                .unwrap()
                .samples
                .len();
        }
        let figures = lake.stats().await.unwrap();
        assert_eq!(usize::try_from(figures.samples).unwrap(), samples);
        let report = lake.maintenance().check(DEEP).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_live_feed_are_not_planned_by_a_rebuild() {
    let mut base = Base::local().await;
    let lake = base.lake().await;
    let source = Source {
        shards: 2.try_into().ok(),
        ..Source::whole(Arc::new(Simulated::new(7)))
    };
    let ingest = IngestMinute::new(Arc::clone(&lake), vec![source], None);
    let slot = minute("2026-11-24T10:00:00Z");
    let one = runner(&lake, "one");
    one.run_once(&ingest, slot.start(), 1, false).await.unwrap();
    base.lose_database().await;
    let lake = base.lake().await;
    let did = lake
        .maintenance()
        .rebuild_catalog(&MarkIngested::new(2))
        .await
        .unwrap();
    assert_eq!(did.slots, 1);
    assert_eq!(parts(&lake, slot).await, [(1, JobRunState::Done)]);
    // Two feeds of the same market: nobody knows whose a sample was.
    base.lose_database().await;
    let lake = base.lake().await;
    let market = vec![marketlake_model::SIMULATED.to_owned()];
    let feeds = MarkIngested::of_feeds([(market.clone(), None), (market, 2.try_into().ok())]);
    assert_eq!(
        lake.maintenance()
            .rebuild_catalog(&feeds)
            .await
            .unwrap()
            .slots,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn detection_waits_for_all_parts_of_a_minute_and_says_which_are_missing() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let sources = vec![
            Source::whole(Arc::new(Simulated::new(7))),
            Source {
                shards: 1.try_into().ok(),
                ..Source::whole(Arc::new(Dead))
            },
        ];
        let ingest = IngestMinute::new(Arc::clone(&lake), sources, None);
        let slot: Millis = minute("2026-11-24T10:00:00Z").start();
        let due = [0, 1].map(|shard| PlannedSlot {
            shard,
            ..PlannedSlot::pending(slot)
        });
        slots::enqueue(lake.database(), IngestMinute::NAME, &due, slot)
            .await
            .unwrap();
        let runner = runner(&lake, "one");
        let first = runner.run_once(&ingest, slot, 0, false).await.unwrap();
        assert!(matches!(first, RunOnce::Done(_)), "{first:?}");
        let detect = DetectJumps::new(
            Arc::clone(&lake),
            DetectOptions {
                max_mails_per_day: 30,
                max_age: Duration::from_secs(600),
                is_live: true,
            },
        );
        let claim = async || {
            let dependencies = detect.policy().dependencies;
            slots::claim(
                lake.database(),
                DetectJumps::NAME,
                "two",
                dependencies,
                &Clock::system(),
            )
            .await
            .unwrap()
        };
        assert!(claim().await.is_none(), "the second part may still come");
        // The second part fails for good.
        sea_orm::ConnectionTrait::execute_unprepared(
            lake.database(),
            "update job_runs set attempts = 9 where job = 'ingest-minute' and shard = 1",
        )
        .await
        .unwrap();
        let second = runner.run_once(&ingest, slot, 1, false).await.unwrap();
        assert!(matches!(second, RunOnce::Failed(_)), "{second:?}");
        let failed = slots::find(lake.database(), IngestMinute::NAME, slot, 1)
            .await
            .unwrap();
        assert_eq!(failed.unwrap().state, JobRunState::Failed);
        let detected = runner.run_once(&detect, slot, 0, false).await.unwrap();
        let RunOnce::Done(outcome) = detected else {
            panic!("{detected:?}");
        };
        assert!(outcome.contains(r#""missing_shards":[1]"#), "{outcome}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_run_by_hand_does_all_its_parts_or_the_one_that_is_named() {
    let base = Base::local().await;
    let split = |shards: i64| {
        let feeds = format!("[{{kind=\"simulated\",shards={shards}}}]");
        Program::on(&base).with("MARKETLAKE_FEEDS", feeds)
    };
    let slot = "2026-01-01T00:00:00Z";
    let run = ["run", "ingest-minute", "--slot", slot];
    let one = split(3).ok(&[&run[..], &["--shard", "1"]].concat()).await;
    assert_eq!(one.lines().count(), 1, "{one}");
    let all = split(3).ok(&run).await;
    let words: Vec<bool> = all
        .lines()
        .map(|line| line.contains("already done"))
        .collect();
    assert_eq!(words, [false, true, false], "{all}");
    let lake = base.lake().await;
    assert_eq!(lake.stats().await.unwrap().segments, 3);
    let none = split(3).run(&[&run[..], &["--shard", "3"]].concat()).await;
    assert_eq!(none.code, 1);
    assert!(none.out.contains("shard 3: expected 0 to 2"), "{none:?}");
    let bad = split(65).run(&run).await;
    assert_eq!(bad.code, 2);
    assert!(
        bad.err
            .contains("setting feeds.0.shards = \"65\": expected a number from 1 to 64"),
        "{bad:?}"
    );
}
