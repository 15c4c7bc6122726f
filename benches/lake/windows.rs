//! Memory of the window, and a minute's way through it.

use std::time::Instant;

use marketlake_entities::{JumpRule, Metric};
use marketlake_lake::{JumpQuery, QueryEngine, Span};

use crate::files::publish;
use crate::measure::{Place, day, figure, metric, millis, resident, samples};

/// 24 hours of 10,000 and of 100,000 metrics.
pub async fn run(place: &Place) -> anyhow::Result<()> {
    for count in [10_000, 100_000] {
        fill(place, count).await?;
    }
    Ok(())
}

async fn fill(place: &Place, count: usize) -> anyhow::Result<()> {
    let metrics: Vec<Metric> = (0..count).map(metric).collect();
    let lake = place.lake(&format!("window-{count}")).await?;
    let begun = Instant::now();
    for hour in 0..24 {
        let first = day().plus(hour * 60);
        let mut import = lake.importer(marketlake_entities::Millis(0));
        for minute in 0..60 {
            import.push(samples(&metrics, first.plus(minute)))?;
        }
        import.finish().await?;
    }
    figure(
        &format!("{count} metrics: 24 hours imported"),
        millis(begun) / 1e3,
        "s",
    );
    let before = resident().0;
    let begun = Instant::now();
    lake.follow(0).await?;
    figure(
        &format!("{count} metrics: window rebuilt at the start"),
        millis(begun) / 1e3,
        "s",
    );
    figure(
        &format!("{count} metrics: resident (before: {before:.0})"),
        resident().0,
        "MiB",
    );
    let mut seen = lake.follow(0).await?;
    let (mut follows, mut detects) = (Vec::new(), Vec::new());
    for minute in 0..20 {
        let ts = day().plus(1_440 + minute);
        let staged = lake.stage_minute(samples(&metrics, ts)).await?;
        publish(&lake, &staged).await?;
        let begun = Instant::now();
        seen = lake.follow(seen).await?;
        follows.push(millis(begun));
        let query = JumpQuery {
            rule: JumpRule::default(),
            span: Span { from: ts, to: ts },
            metric: None,
        };
        let begun = Instant::now();
        lake.window().jumps(&query).await?;
        detects.push(millis(begun));
    }
    for (what, mut times) in [
        ("a minute taken in, rankings and sums made ready", follows),
        ("jumps of a minute", detects),
    ] {
        times.sort_unstable_by(f64::total_cmp);
        figure(
            &format!("{count} metrics: {what}"),
            times[times.len() / 2],
            "ms",
        );
    }
    figure(
        &format!("{count} metrics: resident after"),
        resident().0,
        "MiB",
    );
    // A day's merge of as many metrics, the window being in memory too.
    crate::measure::forget_peak();
    let resting = resident().0;
    let begun = Instant::now();
    if let Some(staged) = lake.stage_day(day()).await? {
        publish(&lake, &staged).await?;
    }
    figure(
        &format!("{count} metrics: compact a day"),
        millis(begun) / 1e3,
        "s",
    );
    figure(
        &format!("{count} metrics: compact a day, memory above the rest"),
        resident().1 - resting,
        "MiB",
    );
    Ok(())
}
