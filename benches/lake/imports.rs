//! Import speed of history from files.

use std::path::Path;
use std::time::Instant;

use marketlake_feeds::files::{self, FileOptions};

use crate::measure::{Place, figure, forget_peak, millis, resident};

/// Samples that go into the lake at once, as in `marketlake import`.
const CHUNK: usize = 1 << 20;

/// Imports the day from Parquet, then from CSV, then once more.
pub async fn run(place: &Place, day: &Path) -> anyhow::Result<()> {
    let csv = place.path("day.csv");
    write_csv(day, &csv)?;
    import(place, "parquet", day).await?;
    import(place, "csv", &csv).await?;
    import(place, "csv", &csv).await
}

async fn import(place: &Place, name: &str, file: &Path) -> anyhow::Result<()> {
    let lake = place.lake(&format!("import-{name}")).await?;
    forget_peak();
    let begun = Instant::now();
    let options = FileOptions {
        market: Some("bench".to_owned()),
        ..FileOptions::default()
    };
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let file = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let mut chunk = Vec::with_capacity(CHUNK);
        for sample in files::read(&file, &options)? {
            chunk.push(sample?);
            if chunk.len() == CHUNK {
                sender.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)))?;
            }
        }
        sender.send(chunk)?;
        anyhow::Ok(millis(begun))
    });
    let mut import = lake.importer(marketlake_model::Millis(i64::MAX));
    let sorting = tokio::task::spawn_blocking(move || {
        receiver.iter().try_for_each(|chunk| import.push(chunk))?;
        anyhow::Ok(import)
    });
    let read = reading.await??;
    let import = sorting.await??;
    let sorted = millis(begun);
    let imported = import.finish().await?;
    let took = millis(begun);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let rate = imported.samples as f64 / took / 1e3;
    let what = if imported.added > 0 { "" } else { " once more" };
    figure(
        &format!("import of {name}{what}: million samples a second"),
        rate,
        "M/s",
    );
    figure(
        &format!("import of {name}{what}: read / sorted by"),
        read / 1e3,
        "s",
    );
    figure(
        &format!("import of {name}{what}: sorted"),
        sorted / 1e3,
        "s",
    );
    figure(
        &format!("import of {name}{what}: most memory"),
        resident().1,
        "MiB",
    );
    Ok(())
}

fn write_csv(day: &Path, csv: &Path) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::BufWriter::new(std::fs::File::create(csv)?);
    let options = FileOptions {
        market: Some("bench".to_owned()),
        ..FileOptions::default()
    };
    writeln!(out, "metric,ts,value")?;
    for sample in files::read(day, &options)? {
        let sample = sample?;
        writeln!(out, "{},{},{}", sample.metric, sample.ts, sample.value)?;
    }
    Ok(out.flush()?)
}
