//! Memory of the window and of a day's merge, each in a process of its own, and a minute's way
//! through the window.

use std::process::Command;
use std::time::Instant;

use marketlake_lake::{JumpQuery, QueryEngine, Span};
use marketlake_model::{JumpRule, Metric, Millis};

use crate::files::publish;
use crate::measure::{Place, day, figure, metric, millis, resident, samples};

/// 24 hours of 10,000 and of 100,000 metrics.
pub async fn run(place: &Place) -> anyhow::Result<()> {
    for count in [10_000, 100_000] {
        measure(place, count).await?;
    }
    Ok(())
}

async fn measure(place: &Place, count: usize) -> anyhow::Result<()> {
    let metrics: Vec<Metric> = (0..count).map(metric).collect();
    let name = format!("window-{count}");
    let lake = place.lake(&name).await?;
    for hour in 0..24 {
        let first = day().plus(hour * 60);
        let mut import = lake.importer(Millis(0));
        for minute in 0..60 {
            import.push(samples(&metrics, first.plus(minute)))?;
        }
        import.finish().await?;
    }
    in_a_process(place, "window-start", &name, count)?;
    let mut seen = lake.queries().follow(0).await?;
    let (mut follows, mut detects) = (Vec::new(), Vec::new());
    for minute in 0..20 {
        let ts = day().plus(1_440 + minute);
        let staged = lake.ingest().stage_minute(samples(&metrics, ts)).await?;
        publish(&lake, &staged).await?;
        let begun = Instant::now();
        seen = lake.queries().follow(seen).await?;
        follows.push(millis(begun));
        let query = JumpQuery {
            rule: JumpRule::default(),
            span: Span { from: ts, to: ts },
            metric: None,
        };
        let begun = Instant::now();
        lake.recent_day().jumps(&query).await?;
        detects.push(millis(begun));
    }
    for (what, mut times) in [
        ("a minute read, rankings and sums ready", follows),
        ("jumps of a minute", detects),
    ] {
        times.sort_unstable_by(f64::total_cmp);
        let name = format!("{count} metrics: {what}");
        figure(&name, times[times.len() / 2], "ms");
    }
    drop(lake);
    in_a_process(place, "day-merge", &name, count)
}

fn in_a_process(place: &Place, what: &str, name: &str, count: usize) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(what).arg(place.root());
    command.arg(name).arg(count.to_string());
    anyhow::ensure!(command.status()?.success(), "{what} failed");
    Ok(())
}

/// Memory of a process that has only read the in-memory day from a lake.
pub async fn start_only(place: &Place, name: &str, metrics: usize) -> anyhow::Result<()> {
    let lake = place.lake(name).await?;
    let begun = Instant::now();
    lake.queries().follow(0).await?;
    let took = millis(begun) / 1e3;
    let (now, most) = resident();
    figure(&format!("{metrics} metrics: window rebuilt"), took, "s");
    figure(&format!("{metrics} metrics: resident with it"), now, "MiB");
    figure(&format!("{metrics} metrics: at most"), most, "MiB");
    Ok(())
}

/// The same of a day's merge.
pub async fn compact_only(place: &Place, name: &str, metrics: usize) -> anyhow::Result<()> {
    let lake = place.lake(name).await?;
    let begun = Instant::now();
    if let Some(staged) = lake.ingest().stage_day(day()).await? {
        publish(&lake, &staged).await?;
    }
    let took = millis(begun) / 1e3;
    figure(&format!("{metrics} metrics: compact a day"), took, "s");
    let name = format!("{metrics} metrics: compact a day, resident at most");
    figure(&name, resident().1, "MiB");
    Ok(())
}
