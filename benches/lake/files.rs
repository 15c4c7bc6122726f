//! Sizes of files, and how long merging them takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use marketlake_entities::database;
use marketlake_feeds::files::{self, FileOptions};
use marketlake_lake::{Lake, StagedSegments};
use marketlake_model::Sample;

use crate::measure::{Place, figure, millis};

const HOURS: i64 = 24;

/// Ingests the day minute by minute, then merges its hours, then the day.
pub async fn run(place: &Place, day: &Path) -> anyhow::Result<Arc<Lake>> {
    let lake = place.lake("files").await?;
    let minutes = by_minute(day)?;
    let begun = Instant::now();
    let count = minutes.len();
    let first = crate::measure::day();
    for samples in minutes {
        let staged = lake.ingest().stage_minute(samples).await?;
        publish(&lake, &staged).await?;
        lake.refresh_directory().await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    figure(
        "a minute of 10,000 samples staged and committed, mean",
        millis(begun) / count as f64,
        "ms",
    );
    sizes(&lake, "raw").await?;
    let mut times = Vec::new();
    for hour in 0..HOURS {
        let begun = Instant::now();
        if let Some(staged) = lake
            .ingest()
            .stage_compaction(first.plus(hour * 60))
            .await?
        {
            publish(&lake, &staged).await?;
        }
        times.push(millis(begun) / 1e3);
    }
    times.sort_unstable_by(f64::total_cmp);
    figure(
        "compact an hour of 10,000 metrics, median",
        times[times.len() / 2],
        "s",
    );
    sizes(&lake, "hours").await?;
    let begun = Instant::now();
    if let Some(staged) = lake.ingest().stage_day(first).await? {
        publish(&lake, &staged).await?;
    }
    figure("compact a day of 10,000 metrics", millis(begun) / 1e3, "s");
    sizes(&lake, "day").await?;
    Ok(lake)
}

pub async fn publish(lake: &Lake, staged: &StagedSegments) -> anyhow::Result<()> {
    let transaction = database::begin_write(lake.database()).await?;
    let now = database::clock(&transaction).await?;
    staged.publish(&transaction, now).await?;
    Ok(transaction.commit().await?)
}

async fn sizes(lake: &Lake, what: &str) -> anyhow::Result<()> {
    let figures = lake.stats().await?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let per_sample = |bytes: i64| bytes as f64 / figures.samples as f64;
    let name = |of: &str| format!("{what}: {of}");
    figure(
        &name("bytes a sample, samples' objects"),
        per_sample(figures.bytes - figures.rollup_bytes),
        "B",
    );
    figure(
        &name("bytes a sample, rollups' objects beside"),
        per_sample(figures.rollup_bytes),
        "B",
    );
    Ok(())
}

fn by_minute(day: &Path) -> anyhow::Result<Vec<Vec<Sample>>> {
    let options = FileOptions {
        market: Some("bench".to_owned()),
        ..FileOptions::default()
    };
    let first = crate::measure::day().number();
    let mut minutes: Vec<Vec<Sample>> = vec![Vec::new(); 1_440];
    for sample in files::read(day, &options)? {
        let sample = sample?;
        let at = usize::try_from(sample.ts.number() - first)?;
        minutes[at].push(sample);
    }
    Ok(minutes)
}
