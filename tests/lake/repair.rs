//! Repair of damaged files: a row afterwards is one that was written, or it is counted as lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use marketlake_lake::{CheckOptions, CheckReport, Lake, Span};
use marketlake_model::{Exact, Metric, Millis, Minute, Sample};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{compact_days, import, ingest};
use crate::support::DEEP;
use crate::support::base::Base;
use crate::support::samples::{metric, sample};

const REPAIR: CheckOptions = CheckOptions {
    deep: true,
    repair: true,
};

type Rows = BTreeMap<(Metric, Minute), Exact>;

async fn rows(lake: &Lake) -> Rows {
    let samples = lake.datafusion().samples(Span::ALL).await.unwrap();
    let count = samples.len();
    let rows: Rows = samples
        .into_iter()
        .map(|sample| ((sample.metric, sample.ts), sample.value))
        .collect();
    assert_eq!(rows.len(), count, "a row stands twice");
    rows
}

/// A lake on disk that can be brought back to the state of a moment, as often as a test damages it.
struct Frozen {
    base: Base,
    copy: PathBuf,
    rows: Rows,
    /// Every value that a metric's minute ever had.
    ever: BTreeSet<(Metric, Minute, String)>,
}

const FILES: [&str; 3] = ["marketlake.db", "marketlake.db-wal", "marketlake.db-shm"];

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Frozen {
    async fn new(base: Base, lake: &Lake, ever: &[Sample]) -> Self {
        let rows = rows(lake).await;
        lake.database().clone().close().await.unwrap();
        let copy = base.path().join("copy");
        copy_all(&base.objects(), &copy.join("lake"));
        for file in FILES.map(|file| base.path().join(file)) {
            if file.exists() {
                std::fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
            }
        }
        let ever = ever
            .iter()
            .map(|s| (s.metric.clone(), s.ts, s.value.to_string()));
        Self {
            copy,
            rows,
            ever: ever.collect(),
            base,
        }
    }

    fn thaw(&self) {
        std::fs::remove_dir_all(self.base.objects()).unwrap();
        copy_all(&self.copy.join("lake"), &self.base.objects());
        for file in FILES {
            let (from, to) = (self.copy.join(file), self.base.path().join(file));
            let _ = std::fs::remove_file(&to);
            if from.exists() {
                std::fs::copy(from, to).unwrap();
            }
        }
    }

    fn file_of(&self, tier: &str) -> PathBuf {
        let below = self.base.objects().join(tier);
        let mut files = self.base.object_files().into_iter();
        files.find(|file| file.starts_with(&below)).unwrap()
    }

    /// Damages a file, repairs the lake, and compares it with what was written.
    async fn damaged(
        &self,
        tier: &str,
        what: &str,
        damage: impl FnOnce(&mut Vec<u8>),
    ) -> CheckReport {
        self.thaw();
        let file = self.file_of(tier);
        let mut bytes = std::fs::read(&file).unwrap();
        damage(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
        let lake = self.base.lake().await;
        let report = lake.maintenance().check(REPAIR).await.unwrap();
        assert!(report.is_whole(), "{what}: {report:?}");
        let after = rows(&lake).await;
        let mut changed = 0;
        for ((metric, ts), value) in &after {
            let written = self.rows.get(&(metric.clone(), *ts));
            changed += i64::from(written != Some(value));
            let was = (metric.clone(), *ts, value.to_string());
            assert!(
                self.ever.contains(&was),
                "{what}: {metric} at {ts} never was {value}: {report:?}"
            );
        }
        let (all, kept) = (self.rows.len(), after.len());
        assert_eq!(
            i64::try_from(kept).unwrap() + report.lost,
            i64::try_from(all).unwrap(),
            "{what}: {report:?}"
        );
        assert!(
            changed <= report.restored,
            "{what}: {changed} corrections undone: {report:?}"
        );
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new(),
            "{what}"
        );
        lake.database().clone().close().await.unwrap();
        report
    }
}

/// A few metrics with a sample now and then, as of markets where little is traded.
fn sparse() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (which, step) in [(0, 7), (1, 8), (2, 3), (3, 1)] {
        for at in 0..100 {
            let value = format!("{}.{at:02}", which + 1);
            samples.push(sample(&format!("a:m{which}"), at * step, &value));
        }
    }
    samples
}

async fn sparse_day(keeps_replaced: bool) -> Frozen {
    let base = Base::local().await;
    let lake = base.lake().await;
    let samples = sparse();
    import(&lake, &samples).await;
    let corrected: Vec<Sample> = samples
        .iter()
        .step_by(9)
        .map(|s| Sample {
            value: "99.5".parse().unwrap(),
            ..s.clone()
        })
        .collect();
    import(&lake, &corrected).await;
    compact_days(&lake).await;
    if !keeps_replaced {
        let later = Millis(i64::MAX);
        lake.maintenance()
            .vacuum(later, Duration::ZERO)
            .await
            .unwrap();
    }
    let mut ever = samples;
    ever.extend(corrected);
    Frozen::new(base, &lake, &ever).await
}

/// Bytes of a column's chunk in a file of one row group.
fn column(file: &Path, name: &str) -> std::ops::Range<usize> {
    let bytes = bytes::Bytes::from(std::fs::read(file).unwrap());
    let reader = parquet::file::reader::SerializedFileReader::new(bytes).unwrap();
    let metadata = parquet::file::reader::FileReader::metadata(&reader);
    assert_eq!(metadata.num_row_groups(), 1);
    let columns = metadata.row_group(0).columns().iter();
    let mut named = columns.filter(|column| column.column_path().string() == name);
    let (start, length) = named.next().unwrap().byte_range();
    let start = usize::try_from(start).unwrap();
    start..start + usize::try_from(length).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_byte_among_the_times_of_a_sparse_day_invents_no_row() {
    let frozen = sparse_day(false).await;
    let mut kept_some = 0;
    for at in column(&frozen.file_of("day"), "ts") {
        let mask = 1 << (at % 8);
        let what = format!("byte {at} ^ {mask:#x}");
        let report = frozen
            .damaged("day", &what, |bytes| bytes[at] ^= mask)
            .await;
        assert_eq!(report.restored, 0, "{what}: {report:?}");
        kept_some += usize::from(report.rows > 0);
    }
    assert!(kept_some > 0, "nothing was ever kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_byte_anywhere_undoes_no_correction_without_saying_so() {
    for keeps_replaced in [true, false] {
        let frozen = sparse_day(keeps_replaced).await;
        let length = std::fs::metadata(frozen.file_of("day")).unwrap().len();
        let length = usize::try_from(length).unwrap();
        for at in (0..length).step_by(length / 40) {
            let what = format!("byte {at} of {length}");
            let report = frozen
                .damaged("day", &what, |bytes| bytes[at] ^= 0x04)
                .await;
            if keeps_replaced {
                assert_eq!(report.lost, 0, "{what}: {report:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rollups_what_is_restored_from_replaced_segments_is_said_to_be() {
    let frozen = sparse_day(true).await;
    frozen.thaw();
    for tier in ["day", "rollup-day"] {
        std::fs::write(frozen.file_of(tier), b"PAR1 gone PAR1").unwrap();
    }
    let lake = frozen.base.lake().await;
    let report = lake.maintenance().check(REPAIR).await.unwrap();
    assert_eq!((report.restored, report.lost), (400, 0), "{report:?}");
    let said = &report.repairs[0];
    assert!(
        said.contains("0 of 400 rows rebuilt, 0 lost")
            && said.contains("400 rows restored from hour/dt=")
            && said.ends_with("later corrections of them may be undone"),
        "{said}"
    );
    assert!(
        report
            .to_string()
            .ends_with("400 rows restored from replaced segments, 0 rows lost")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_raw_file_is_never_guessed_at() {
    let base = Base::local().await;
    let lake = base.lake().await;
    let samples: Vec<Sample> = (0..300)
        .map(|which| sample(&format!("a:m{which:03}"), 0, &format!("{which}.5")))
        .collect();
    ingest(&lake, &samples).await;
    let frozen = Frozen::new(base, &lake, &samples).await;
    let length = std::fs::metadata(frozen.file_of("raw")).unwrap().len();
    let length = usize::try_from(length).unwrap();
    for at in (0..length).step_by(length / 60) {
        let what = format!("byte {at} of {length}");
        let report = frozen
            .damaged("raw", &what, |bytes| bytes[at] ^= 0x20)
            .await;
        assert_eq!(report.restored, 0, "{what}: {report:?}");
    }
}

/// Operations on a random lake: (metric, minute, value) in turns of imports; then a byte of its
/// day.
type Story = (Vec<Vec<(u8, i64, i64)>>, Vec<(prop::sample::Index, u8)>);

fn story() -> impl Strategy<Value = Story> {
    let row = (0..4_u8, 0..200_i64, 1..50_i64);
    let turn = prop::collection::vec(row, 1..60);
    let turns = prop::collection::vec(turn, 1..4);
    let damages = prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 4..8);
    (turns, damages)
}

async fn compare((turns, damages): Story) {
    let base = Base::local().await;
    let lake = base.lake().await;
    let mut ever = Vec::new();
    for turn in turns {
        let samples: Vec<Sample> = turn
            .into_iter()
            .map(|(which, at, value)| Sample {
                metric: metric(&format!("a:m{which}")),
                ts: sample("a:m", at, "1").ts,
                value: Exact::new(value, 1).unwrap(),
            })
            .collect();
        ever.extend(samples.clone());
        import(&lake, &samples).await;
    }
    compact_days(&lake).await;
    let frozen = Frozen::new(base, &lake, &ever).await;
    for (at, mask) in damages {
        let what = format!("{at:?} ^ {mask:#x}");
        let damage = |bytes: &mut Vec<u8>| {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
        };
        frozen.damaged("day", &what, damage).await;
    }
}

#[test]
fn repair_of_random_lakes_keeps_rows_that_were_written_and_counts_the_rest() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 8,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&story(), |story| {
            runtime.block_on(compare(story));
            Ok(())
        })
        .unwrap();
}
