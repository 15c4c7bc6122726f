//! Commits: the state that each leaves in the lake, the catalog and the in-memory day.

use std::path::PathBuf;

use marketlake_lake::{LakeError, QueryEngine, Statistic};
use marketlake_model::{Exact, Millis, Sample};
use sea_orm::ConnectionTrait;

use super::{compact_all, compact_days, import, ingest, publish};
use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::samples::{metric, sample, series, start};

async fn shown(lake: &marketlake_lake::Lake, id: &str) -> Vec<String> {
    let day = lake.queries().last_24h(None).await.unwrap().unwrap();
    let points = lake
        .datafusion()
        .timeseries(&metric(id), day)
        .await
        .unwrap();
    points
        .iter()
        .map(|p| format!("{}={}", p.ts.number() - start().number(), p.value))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_staged_is_seen_only_once_it_is_published() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let staged = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 0, "1")])
            .await
            .unwrap();
        assert_eq!(base.object_files().len(), 1);
        assert_eq!(lake.newest().await.unwrap(), None);
        assert!(lake.resolve("one").await.unwrap().is_none());
        publish(&lake, &staged).await.unwrap();
        assert_eq!(lake.newest().await.unwrap(), Some(start()));
        assert_eq!(lake.resolve("ONE").await.unwrap(), Some(metric("a:one")));
        assert_eq!(shown(&lake, "a:one").await, ["0=1"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_written_value_of_a_minute_wins_wherever_it_lies() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2", "3"])).await;
        ingest(&lake, &[sample("a:one", 1, "2.5"), sample("b:two", 1, "7")]).await;
        assert_eq!(shown(&lake, "a:one").await, ["0=1", "1=2.5", "2=3"]);
        compact_all(&lake).await;
        import(
            &lake,
            &[
                sample("a:one", 2, "3.5"),
                sample("a:one", 3, "4"),
                sample("a:one", 3, "4.5"),
            ],
        )
        .await;
        assert_eq!(
            shown(&lake, "a:one").await,
            ["0=1", "1=2.5", "2=3.5", "3=4.5"]
        );
        assert_eq!(shown(&lake, "b:two").await, ["1=7"]);
        assert_eq!(lake.stats().await.unwrap().samples, 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_commits_to_one_hour_cannot_lose_each_other_s_samples() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2"])).await;
        let compaction = lake
            .ingest()
            .stage_compaction(start())
            .await
            .unwrap()
            .unwrap();
        ingest(&lake, &[sample("a:one", 2, "3")]).await;
        let error = publish(&lake, &compaction).await.unwrap_err();
        assert!(matches!(error, LakeError::Conflict { .. }), "{error}");
        assert_eq!(shown(&lake, "a:one").await, ["0=1", "1=2", "2=3"]);
        let first = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 3, "4")])
            .await
            .unwrap();
        let second = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 3, "5")])
            .await
            .unwrap();
        publish(&lake, &first).await.unwrap();
        let error = publish(&lake, &second).await.unwrap_err();
        assert!(matches!(error, LakeError::Conflict { .. }), "{error}");
        assert_eq!(shown(&lake, "a:one").await, ["0=1", "1=2", "2=3", "3=4"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_keeps_every_row_in_one_segment() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let mut samples = series("a:one", 0, &["1", "2", "3"]);
        samples.extend(series("b:two", 1, &["0.00000001", "1e21"]));
        ingest(&lake, &samples).await;
        let before = lake.stats().await.unwrap();
        assert_eq!((before.segments, before.samples), (3, 5));
        compact_all(&lake).await;
        let after = lake.stats().await.unwrap();
        assert_eq!((after.segments, after.samples, after.metrics), (1, 5, 2));
        assert_eq!(
            shown(&lake, "b:two").await,
            ["1=0.00000001", "2=1000000000000000000000"]
        );
        assert!(
            lake.ingest()
                .stage_compaction(start())
                .await
                .unwrap()
                .is_none()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_follows_what_others_commit_and_forgets_what_is_older_than_a_day() {
    on_both(async |base: Base| {
        let (lake, other) = (base.lake().await, base.lake().await);
        ingest(&other, &series("a:old", 0, &["1", "2"])).await;
        let seen = lake.queries().follow(0).await.unwrap();
        assert_eq!(lake.recent_day().newest(), Some(start().plus(1)));
        ingest(&other, &[sample("b:new", 1_440, "3")]).await;
        compact_all(&other).await;
        lake.queries().follow(seen).await.unwrap();
        let day = lake.queries().last_24h(None).await.unwrap().unwrap();
        assert!(lake.recent_day().covers(day));
        let window = lake.recent_day().as_ref();
        let points = window.timeseries(&metric("a:old"), day).await.unwrap();
        assert_eq!(
            points.iter().map(|p| p.ts).collect::<Vec<_>>(),
            [start().plus(1)]
        );
        assert_eq!(
            window.metrics(day).await.unwrap(),
            other.datafusion().metrics(day).await.unwrap()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_minute_makes_the_day_that_it_belongs_to_whole_again() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let mut samples = series("a:one", 0, &["1", "2", "3"]);
        samples.extend(series("a:one", 200, &["4"]));
        ingest(&lake, &samples).await;
        compact_days(&lake).await;
        // One minute within the day's gap, one that corrects, one of another metric.
        ingest(&lake, &[sample("a:one", 100, "3.5")]).await;
        ingest(&lake, &[sample("a:one", 1, "2.5"), sample("b:two", 1, "9")]).await;
        let figures = lake.stats().await.unwrap();
        assert_eq!((figures.segments, figures.samples), (1, 6));
        assert_eq!(
            shown(&lake, "a:one").await,
            ["0=1", "1=2.5", "2=3", "100=3.5", "200=4"]
        );
        // The same minute once more changes nothing.
        let again = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 1, "2.5")])
            .await;
        assert!(again.unwrap().is_empty());
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_from_before_rollups_and_checksums_are_answered_and_merged() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let mut samples = series("a:one", 0, &["1", "2", "4"]);
        samples.extend(series("b:two", 58, &["5", "5", "7"]));
        ingest(&lake, &samples).await;
        compact_all(&lake).await;
        let forget = "update segments set crcs = null, rollup_path = null, rollup_byte_count = null, \
                      rollup_sha256 = null, rollup_crcs = null";
        lake.database().execute_unprepared(forget).await.unwrap();
        let is_rollup = |file: &PathBuf| file.to_string_lossy().contains("rollup-hour");
        for rollup in base.object_files().into_iter().filter(is_rollup) {
            std::fs::remove_file(rollup).unwrap();
        }
        let answers = async || {
            let engine = lake.datafusion();
            let day = lake.queries().last_24h(None).await.unwrap().unwrap();
            let two = metric("b:two");
            let hourly = engine.buckets(&two, day, "1h".parse().unwrap());
            (
                engine.metrics(day).await.unwrap(),
                engine.ranking("price", Statistic::Stddev, day).await.unwrap(),
                hourly.await.unwrap(),
            )
        };
        let before = answers().await;
        assert_eq!((before.0.len(), before.1.ranked().len(), before.2.len()), (2, 2, 2));
        compact_days(&lake).await;
        assert_eq!(answers().await, before);
        assert_eq!(lake.maintenance().check(DEEP).await.unwrap().problems, Vec::<String>::new());
        assert_eq!(lake.stats().await.unwrap().segments, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_many_megabytes_goes_up_in_parts() {
    let base = Base::remote().await;
    let lake = base.lake().await;
    // Digits without any order, which nothing compresses: 8 bytes a sample, 9 megabytes in all.
    let mut digits = 1_u64;
    let mut import = lake.importer(Millis(i64::MAX));
    for which in 0..800 {
        let id = metric(&format!("a:m{which:03}"));
        let noise = (0..1_440).map(|at| {
            digits = digits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            Sample {
                metric: id.clone(),
                ts: start().day().plus(at),
                value: Exact::new(i64::try_from(digits >> 2).unwrap(), 0).unwrap(),
            }
        });
        import.push(noise.collect()).unwrap();
    }
    import.finish().await.unwrap();
    let largest = base
        .object_files()
        .into_iter()
        .map(|file| file.metadata().unwrap().len());
    assert!(largest.max() > Some(8 << 20));
    assert_eq!(
        lake.maintenance().check(DEEP).await.unwrap().problems,
        Vec::<String>::new()
    );
}

/// A segment of more than its hour or day would be lost in part when the catalog is rebuilt.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_merged_alone_whatever_minute_of_it_is_named() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let (noon, next) = (start().day().plus(720), start().day().plus(1_440));
        let at = |minute: marketlake_model::Minute| minute.number() - start().number();
        for minute in [noon.plus(-45), noon, next, next.plus(60)] {
            ingest(&lake, &[sample("a:one", at(minute), "1")]).await;
        }
        for hour in [noon.plus(-31), next.plus(30)] {
            let staged = lake.ingest().stage_compaction(hour).await.unwrap();
            publish(&lake, &staged.unwrap()).await.unwrap();
        }
        let staged = lake.ingest().stage_day(noon).await.unwrap();
        publish(&lake, &staged.unwrap()).await.unwrap();
        let report = lake.maintenance().check(DEEP).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!(lake.stats().await.unwrap().samples, 4);
        assert_eq!(lake.stats().await.unwrap().segments, 3);
        let wider = "update segments set max_ts = max_ts + 86400000 where tier = 'day'";
        lake.database().execute_unprepared(wider).await.unwrap();
        let report = lake.maintenance().check(DEEP).await.unwrap();
        assert!(
            report
                .problems
                .iter()
                .any(|p| p.contains("expected rows of one day, got")),
            "{report:?}"
        );
    })
    .await;
}
