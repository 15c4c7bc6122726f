//! Times, memory, and fresh lakes to measure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use marketlake_entities::database;
use marketlake_lake::{Lake, Store, StoreOptions};
use marketlake_migrations::{Migrator, MigratorTrait};
use marketlake_model::{Exact, Metric, Minute, Sample, parse_time};
use tempfile::TempDir;

/// A folder for everything, gone at the end.
pub struct Place {
    folder: PathBuf,
    /// Deletes it at the end; not in a process that another one has called.
    _guard: Option<TempDir>,
}

impl Place {
    pub fn new() -> anyhow::Result<Self> {
        let guard = tempfile::tempdir()?;
        Ok(Self {
            folder: guard.path().to_owned(),
            _guard: Some(guard),
        })
    }

    /// The folder of another process.
    pub fn of(folder: PathBuf) -> Self {
        Self {
            folder,
            _guard: None,
        }
    }

    pub fn root(&self) -> &std::path::Path {
        &self.folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A lake on `SQLite` and a folder; the same again by the same name.
    pub async fn lake(&self, name: &str) -> anyhow::Result<Arc<Lake>> {
        let options = StoreOptions {
            url: format!("file://{}", self.path(name).display()),
            ..StoreOptions::default()
        };
        self.lake_on(name, Store::open(&options).await?).await
    }

    /// A lake on `SQLite` and another store.
    pub async fn lake_on(&self, name: &str, store: Store) -> anyhow::Result<Arc<Lake>> {
        let file = self.path(&format!("{name}.db"));
        let database = database::connect(&database::sqlite_url(&file)).await?;
        Migrator::up(&database, None).await?;
        Ok(Lake::open(database, store, Vec::new()).await?)
    }
}

/// Says one figure.
pub fn figure(name: &str, value: f64, unit: &str) {
    crate::say(&format!("{name:58} {value:12.3} {unit}"));
}

/// The median of some calls' times in milliseconds, after one that is not counted.
pub async fn median<F: Future<Output = anyhow::Result<()>>>(
    calls: usize,
    mut call: impl FnMut() -> F,
) -> anyhow::Result<f64> {
    call().await?;
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let begun = Instant::now();
        call().await?;
        times.push(millis(begun));
    }
    times.sort_unstable_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

pub fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

/// Resident memory of this process in MiB: now, and at its most.
pub fn resident() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// Forgets the most of resident memory so far.
pub fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

pub fn minute(text: &str) -> Minute {
    parse_time(text).map_or(Minute::from_number(0), marketlake_model::Millis::minute)
}

/// The day's first minute.
pub fn day() -> Minute {
    minute("2026-11-01T00:00:00Z")
}

pub fn metric(number: usize) -> Metric {
    Metric::new("bench", &format!("m{number:05}"), "price").expect("a valid id")
}

/// A quiet market, cheap to make: a price of four decimals that moves in one minute of three.
pub fn samples(metrics: &[Metric], ts: Minute) -> Vec<Sample> {
    let at = ts.number();
    let price =
        |number: i64| 1_000_000 + (number * 7_919) % 900_000 + (at / 3 * (number % 11)) % 977;
    (0..)
        .zip(metrics)
        .map(|(number, metric)| Sample {
            metric: metric.clone(),
            ts,
            value: Exact::new(price(number), 4).expect("fits"),
        })
        .collect()
}
