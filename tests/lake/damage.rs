//! Files that are damaged: no wrong answer, and what can be rebuilt is rebuilt.

use std::path::PathBuf;

use marketlake_lake::{CheckOptions, JumpQuery, QueryEngine, Span};
use marketlake_model::Millis;

use super::faults::{history, live_rows, one_day};
use super::{compact_all, compact_days, import, ingest};
use crate::support::base::{Base, on_both};
use crate::support::samples::{metric, sample, start};
use crate::support::{DEEP, SHALLOW};

const REPAIR: CheckOptions = CheckOptions {
    deep: true,
    repair: true,
};

/// Damage of a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Truncated,
    BitFlipped(usize),
    Foreign,
    Missing,
    Empty,
}

fn damage(file: &PathBuf, damage: Damage) {
    let mut bytes = std::fs::read(file).unwrap();
    match damage {
        Damage::Truncated => bytes.truncate(bytes.len() * 2 / 3),
        Damage::BitFlipped(tenths) => {
            let at = bytes.len() * tenths / 10;
            bytes[at] ^= 0x10;
        }
        Damage::Foreign => bytes = b"PAR1 this is no lake of ours PAR1".to_vec(),
        Damage::Empty => bytes.clear(),
        Damage::Missing => return std::fs::remove_file(file).unwrap(),
    }
    std::fs::write(file, bytes).unwrap();
}

const DAMAGES: [Damage; 8] = [
    Damage::Truncated,
    Damage::BitFlipped(1),
    Damage::BitFlipped(4),
    Damage::BitFlipped(7),
    Damage::BitFlipped(9),
    Damage::Foreign,
    Damage::Missing,
    Damage::Empty,
];

fn file_of(base: &Base, tier: &str) -> PathBuf {
    let below = base.objects().join(tier);
    let files = base.object_files();
    let file = files.iter().find(|file| file.starts_with(&below));
    file.unwrap_or_else(|| panic!("no {tier} in {files:?}"))
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_gives_an_error_that_names_it_and_never_a_wrong_answer() {
    on_both(async |base: Base| {
        for how in DAMAGES {
            let base = base.again().await;
            one_day(&base).await;
            let file = file_of(&base, "day");
            damage(&file, how);
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            // As a process that starts now.
            let lake = base.lake().await;
            let engine = lake.datafusion();
            let day = lake.queries().last_24h(None).await.unwrap().unwrap();
            let query = JumpQuery {
                rule: marketlake_model::JumpRule::default(),
                span: day,
                metric: None,
            };
            let errors = [
                lake.queries().follow(0).await.map(|_| ()),
                lake.import(vec![sample("a:one", 5, "1")], Millis(0))
                    .await
                    .map(|_| ()),
                engine.metrics(day).await.map(|_| ()),
                engine.timeseries(&metric("a:one"), day).await.map(|_| ()),
                engine.jumps(&query).await.map(|_| ()),
            ];
            for error in errors {
                // A flip may lie in bytes that a question has no need of; then its answer is right.
                match (error, how) {
                    (Err(error), _) => {
                        assert!(error.to_string().contains(&name), "{how:?}: {error}");
                    }
                    (Ok(()), Damage::BitFlipped(_)) => (),
                    (Ok(()), how) => panic!("{how:?} was not noticed"),
                }
            }
            if let Ok(points) = engine.timeseries(&metric("a:one"), day).await {
                assert_eq!(points.len(), 4, "{how:?}");
                assert_eq!(points[0].value, "1.5".parse().unwrap());
            }
            let report = lake.maintenance().check(DEEP).await.unwrap();
            assert_eq!(report.problems.len(), 1, "{how:?}: {:?}", report.problems);
            assert!(report.problems[0].contains(&name), "{:?}", report.problems);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repair_rebuilds_a_day_from_the_hours_that_it_replaced() {
    on_both(async |base: Base| {
        for how in DAMAGES {
            let base = base.again().await;
            let lake = one_day(&base).await;
            let before = live_rows(&lake).await;
            damage(&file_of(&base, "day"), how);
            let report = lake.maintenance().check(REPAIR).await.unwrap();
            assert!(report.is_whole() && report.lost == 0, "{how:?}: {report:?}");
            assert!(
                report.repairs[0].contains("8 of 8 rows rebuilt, 0 lost"),
                "{report:?}"
            );
            assert_eq!(live_rows(&lake).await, before, "{how:?}");
            let again = lake.maintenance().check(DEEP).await.unwrap();
            assert_eq!(
                (again.problems.len(), again.set_aside, again.rows),
                (0, 1, 8)
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repair_says_what_is_lost_where_nothing_is_left_to_rebuild_from() {
    on_both(async |base: Base| {
        let lake = one_day(&base).await;
        let later = Millis(i64::MAX);
        lake.maintenance()
            .vacuum(later, std::time::Duration::ZERO)
            .await
            .unwrap();
        std::fs::remove_file(file_of(&base, "day")).unwrap();
        let report = lake.maintenance().check(REPAIR).await.unwrap();
        assert_eq!((report.is_whole(), report.lost), (true, 8));
        assert!(
            report.repairs[0].contains("0 of 8 rows rebuilt, 8 lost"),
            "{report:?}"
        );
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
        assert_eq!(lake.stats().await.unwrap().samples, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repair_keeps_the_hours_of_a_damaged_file_that_its_rollups_vouch_for() {
    let base = Base::local().await;
    let lake = base.lake().await;
    // Enough for several blocks of bytes, so that a flip leaves most of it readable.
    let mut samples = Vec::new();
    for which in 0..40 {
        for at in 0..600 {
            let value = format!(
                "{}.{:09}",
                which + 1,
                (at * 7_919 * (which + 3)) % 999_999_937
            );
            samples.push(sample(&format!("a:m{which:02}"), at, &value));
        }
    }
    import(&lake, &samples).await;
    compact_days(&lake).await;
    let later = Millis(i64::MAX);
    lake.maintenance()
        .vacuum(later, std::time::Duration::ZERO)
        .await
        .unwrap();
    let file = file_of(&base, "day");
    assert!(std::fs::metadata(&file).unwrap().len() > 65_536, "{file:?}");
    damage(&file, Damage::BitFlipped(1));
    let report = lake.maintenance().check(REPAIR).await.unwrap();
    let kept = lake.stats().await.unwrap().samples;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(kept + report.lost, 24_000);
    // The flip costs a page of one column at most, or nothing where it decodes to other values in
    // one hour.
    assert!(kept > 0, "{report:?}");
    let whole = lake.maintenance().check(DEEP).await.unwrap();
    assert_eq!(whole.problems, Vec::<String>::new());
    let span = Span::day(start().day());
    for answered in lake.datafusion().samples(span).await.unwrap() {
        assert!(samples.contains(&answered), "{answered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repair_rebuilds_rollups_from_their_samples() {
    on_both(async |base: Base| {
        for how in DAMAGES {
            let base = base.again().await;
            let lake = base.lake().await;
            ingest(&lake, &history()).await;
            compact_all(&lake).await;
            damage(&file_of(&base, "rollup-hour"), how);
            let report = lake.maintenance().check(REPAIR).await.unwrap();
            assert_eq!(report.problems.len(), 1, "{how:?}: {report:?}");
            assert!(
                report.repairs[0].ends_with("rollups rebuilt from its samples"),
                "{report:?}"
            );
            assert_eq!(
                lake.maintenance().check(DEEP).await.unwrap().problems,
                Vec::<String>::new()
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_an_object_and_an_object_without_a_row_are_both_found() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &history()).await;
        let stray = base
            .objects()
            .join("raw/dt=2026-11-24/hour=10/stray.parquet");
        std::fs::write(stray, b"nobody wrote me").unwrap();
        std::fs::remove_file(file_of(&base, "raw")).unwrap();
        let report = lake.maintenance().check(SHALLOW).await.unwrap();
        assert_eq!((report.foreign, report.problems.len()), (1, 1));
        assert!(report.problems[0].ends_with("the object is missing"));
    })
    .await;
}
