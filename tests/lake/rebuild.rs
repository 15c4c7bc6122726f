//! A catalog that is lost or outdated, rebuilt from the objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use marketlake_jobs::MarkIngested;
use marketlake_lake::{Lake, RebuildSummary};
use marketlake_model::{Exact, Metric, Millis, Minute, Sample};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::faults::{history, live_rows, one_day};
use super::{compact_all, compact_days, import, ingest, publish};
use crate::support::base::{Base, on_both};
use crate::support::samples::{sample, series, start};
use crate::support::{DEEP, SHALLOW};

pub(super) const LATER: Millis = Millis(i64::MAX);

pub(super) type Rows = BTreeMap<(Metric, Minute), Exact>;

pub(super) async fn rows(lake: &Lake) -> Rows {
    let (_, samples) = live_rows(lake).await;
    let count = samples.len();
    let rows: Rows = samples
        .into_iter()
        .map(|sample| ((sample.metric, sample.ts), sample.value))
        .collect();
    assert_eq!(rows.len(), count, "a row stands twice");
    rows
}

pub(super) async fn problems(lake: &Lake) -> Vec<String> {
    lake.maintenance().check(DEEP).await.unwrap().problems
}

/// The lake behind another database, which knows nothing of it, rebuilt.
pub(super) async fn rebuilt(base: &mut Base) -> (Arc<Lake>, RebuildSummary) {
    base.lose_database().await;
    let lake = base.lake().await;
    let rebuilt = lake
        .maintenance()
        .rebuild_catalog(&MarkIngested::new(1))
        .await
        .unwrap();
    assert_eq!(problems(&lake).await, Vec::<String>::new());
    let again = lake
        .maintenance()
        .rebuild_catalog(&MarkIngested::new(1))
        .await
        .unwrap();
    assert_eq!(again, RebuildSummary::default());
    (lake, rebuilt)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_catalog_is_rebuilt_with_every_row_and_metric() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &history()).await;
        compact_days(&lake).await;
        // Beside the day: a late minute, a correction, and raw minutes of the next day.
        import(
            &lake,
            &[sample("a:one", 2, "2.75"), sample("c:new", 3, "5")],
        )
        .await;
        ingest(&lake, &series("a:one", 1_440, &["6", "7"])).await;
        let (before, figures) = (rows(&lake).await, lake.stats().await.unwrap());
        let (lake, did) = rebuilt(&mut base).await;
        assert_eq!(rows(&lake).await, before);
        let after = lake.stats().await.unwrap();
        assert_eq!(
            (after.samples, after.metrics, after.bytes),
            (figures.samples, figures.metrics, figures.bytes)
        );
        assert_eq!((did.merged, did.damaged, did.lost), (0, 0, 0), "{did:?}");
        assert!(did.redundant > 0, "{did:?}");
        // Replaced segments are known as such: vacuum may delete them.
        lake.maintenance()
            .vacuum(LATER, Duration::ZERO)
            .await
            .unwrap();
        // A day with its rollups, and two minutes.
        assert_eq!(base.object_files().len(), 4);
        assert_eq!(rows(&lake).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_was_refused_does_not_undo_the_correction_that_came_first() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2", "3"])).await;
        // Written after the correction, from what was there before it.
        let stale = lake
            .ingest()
            .stage_compaction(start())
            .await
            .unwrap()
            .unwrap();
        import(&lake, &[sample("a:one", 1, "2.5")]).await;
        let newer = lake.ingest().stage_compaction(start()).await.unwrap();
        assert!(newer.is_none() && publish(&lake, &stale).await.is_err());
        let before = rows(&lake).await;
        let (lake, _) = rebuilt(&mut base).await;
        assert_eq!(rows(&lake).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_crashes_are_adopted_once_or_not_at_all() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2"])).await;
        // Written, and killed before the commit: a minute, and a merge.
        let unseen = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 2, "3")])
            .await;
        let _ = unseen.unwrap();
        let _ = lake
            .ingest()
            .stage_compaction(start())
            .await
            .unwrap()
            .unwrap();
        let mut expected = rows(&lake).await;
        let late = sample("a:one", 2, "3");
        expected.insert((late.metric, late.ts), late.value);
        let (lake, did) = rebuilt(&mut base).await;
        assert_eq!(rows(&lake).await, expected, "{did:?}");
        compact_all(&lake).await;
        assert_eq!(rows(&lake).await, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_objects_give_only_rows_that_they_vouch_for_and_the_rest_is_counted() {
    for at in 0..40 {
        let mut base = Base::local().await;
        let lake = one_day(&base).await;
        lake.maintenance()
            .vacuum(LATER, Duration::ZERO)
            .await
            .unwrap();
        let before = rows(&lake).await;
        let files = base.object_files();
        let day = files
            .iter()
            .find(|file| file.starts_with(base.objects().join("day")))
            .unwrap();
        let mut bytes = std::fs::read(day).unwrap();
        let flipped = bytes.len() * at / 40;
        bytes[flipped] ^= 0x20;
        std::fs::write(day, bytes).unwrap();
        let (lake, did) = rebuilt(&mut base).await;
        let after = rows(&lake).await;
        for (key, value) in &after {
            assert_eq!(before.get(key), Some(value), "byte {flipped}");
        }
        let lost = i64::try_from(before.len() - after.len()).unwrap();
        // The object is named at least, where the damage hides its number of rows.
        let is_hidden = did.notes[0].contains(" of 0 rows ");
        assert!(did.lost == lost || is_hidden, "{did:?}, {lost} lost");
        assert_eq!((did.damaged, did.notes.len()), (1, 1), "{did:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_files_and_rows_of_the_future_are_left_alone() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2"])).await;
        let far = sample("a:one", 1_000_000, "9");
        super::future::poison(&lake, vec![far]).await;
        std::fs::write(base.objects().join("raw/README.parquet"), b"mine").unwrap();
        let (lake, did) = rebuilt(&mut base).await;
        assert_eq!((did.future, rows(&lake).await.len()), (1, 2), "{did:?}");
        assert_eq!(lake.maintenance().check(SHALLOW).await.unwrap().foreign, 1);
    })
    .await;
}

/// Operation on a lake between two losses.
#[derive(Clone, Debug)]
enum Step {
    Ingest(Vec<(u8, i64, i64)>),
    Import(Vec<(u8, i64, i64)>),
    /// Staged, and killed before the commit.
    Stage(Vec<(u8, i64, i64)>),
    StageMerge(i64),
    Hours,
    Days,
    Vacuum,
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    let rows = || prop::collection::vec((0..4_u8, 0..130_i64, 1..99_i64), 1..12);
    prop_oneof![
        4 => rows().prop_map(Step::Ingest),
        3 => rows().prop_map(Step::Import),
        1 => rows().prop_map(Step::Stage),
        1 => (0..3_i64).prop_map(Step::StageMerge),
        2 => Just(Step::Hours),
        1 => Just(Step::Days),
        1 => Just(Step::Vacuum),
        2 => Just(Step::Lose),
    ]
}

fn samples(rows: Vec<(u8, i64, i64)>) -> Vec<Sample> {
    rows.into_iter()
        .map(|(which, at, value)| sample(&format!("a:m{which}"), at, &value.to_string()))
        .collect()
}

async fn live_through(steps: Vec<Step>) {
    let mut base = Base::local().await;
    let mut lake = base.lake().await;
    let mut expected = Rows::new();
    // Values that were written and never committed: where a crash left them, they may be found.
    let mut unseen: BTreeMap<(Metric, Minute), BTreeSet<String>> = BTreeMap::new();
    for step in steps.into_iter().chain([Step::Lose]) {
        let is_empty = lake.newest().await.unwrap().is_none();
        match step {
            Step::Ingest(rows) | Step::Import(rows) if rows.is_empty() => (),
            Step::Ingest(rows) => {
                let samples = samples(rows);
                ingest(&lake, &samples).await;
                for Sample { metric, ts, value } in samples {
                    expected.insert((metric, ts), value);
                }
            }
            Step::Import(rows) => {
                let samples = samples(rows);
                import(&lake, &samples).await;
                for Sample { metric, ts, value } in samples {
                    expected.insert((metric, ts), value);
                }
            }
            Step::Stage(rows) => {
                // A minute's, as an ingest that is killed.
                let mut samples = samples(rows);
                let minute = samples[0].ts;
                samples.retain(|sample| sample.ts == minute);
                let _ = lake.ingest().stage_minute(samples.clone()).await.unwrap();
                for Sample { metric, ts, value } in samples {
                    let values = unseen.entry((metric, ts)).or_default();
                    values.insert(value.to_string());
                }
            }
            Step::StageMerge(hour) => {
                let _ = lake
                    .ingest()
                    .stage_compaction(start().plus(hour * 60))
                    .await
                    .unwrap();
            }
            Step::Hours if !is_empty => compact_all(&lake).await,
            Step::Days if !is_empty => compact_days(&lake).await,
            Step::Hours | Step::Days => (),
            Step::Vacuum => {
                lake.maintenance()
                    .vacuum(LATER, Duration::ZERO)
                    .await
                    .unwrap();
            }
            Step::Lose => {
                let did;
                (lake, did) = rebuilt(&mut base).await;
                let found = rows(&lake).await;
                for (key, value) in &expected {
                    let is_unseen = |value: &Exact| {
                        let values = unseen.get(key);
                        values.is_some_and(|values| values.contains(&value.to_string()))
                    };
                    let there = found.get(key);
                    assert!(
                        there == Some(value) || there.is_some_and(is_unseen),
                        "{key:?}: {there:?} in place of {value}: {did:?}"
                    );
                }
                for (key, value) in &found {
                    let is_known = expected.contains_key(key) || unseen.contains_key(key);
                    assert!(is_known, "{key:?} never was {value}");
                }
                expected = found;
            }
        }
    }
}

#[test]
fn whatever_happened_before_a_loss_no_committed_row_is_lost_or_stands_twice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 16,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(step(), 3..14), |steps| {
            runtime.block_on(live_through(steps));
            Ok(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_was_copied_to_another_days_folder_adds_no_row() {
    let base = Base::local().await;
    let lake = base.lake().await;
    import(&lake, &series("file:two", 0, &["1", "2", "3"])).await;
    compact_days(&lake).await;
    let days = base.objects().join("day");
    let day = std::fs::read_dir(&days).unwrap().next().unwrap().unwrap();
    let other = days.join("dt=2020-01-01");
    std::fs::create_dir(&other).unwrap();
    for file in std::fs::read_dir(day.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), other.join(file.file_name())).unwrap();
    }
    let before = rows(&lake).await;
    lake.maintenance()
        .rebuild_catalog(&MarkIngested::new(1))
        .await
        .unwrap();
    assert_eq!(rows(&lake).await, before);
    let found = lake.maintenance().check(DEEP).await.unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn minutes_that_were_only_imported_are_still_to_be_ingested() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1"])).await;
        import(&lake, &series("file:two", 0, &["1", "2", "3"])).await;
        compact_all(&lake).await;
        base.lose_database().await;
        let lake = base.lake().await;
        let adoption = MarkIngested::of_feeds([(vec!["a".to_owned()], None)]);
        let did = lake.maintenance().rebuild_catalog(&adoption).await.unwrap();
        assert_eq!((did.slots, did.rows), (1, 4), "{did:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_of_the_last_days_are_done_again_and_older_ones_are_not_planned() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", -9 * 1_440, &["1", "2"])).await;
        ingest(&lake, &series("a:one", 0, &["1"])).await;
        base.lose_database().await;
        let lake = base.lake().await;
        let did = lake
            .maintenance()
            .rebuild_catalog(&MarkIngested::new(3))
            .await
            .unwrap();
        // Nobody plans a minute of nine days ago any more.
        assert_eq!((did.slots, did.rows), (1, 3), "{did:?}");
    })
    .await;
}
