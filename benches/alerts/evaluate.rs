//! 10,000 subscriptions evaluated for one minute of 10,000 metrics, from the window to the commit.

use std::sync::Arc;
use std::time::Instant;

use marketlake_alerts::delivery::outbox::EnqueueOptions;
use marketlake_alerts::detection::{self, RecordCounts};
use marketlake_entities::database;
use marketlake_lake::Lake;
use marketlake_model::Minute;

use crate::market::{self, METRICS};
use crate::measure::{Place, figure, millis};

/// Minutes that are evaluated.
const MINUTES: i64 = 8;
const SUBSCRIPTIONS: usize = 10_000;

pub async fn run(place: &Place) -> anyhow::Result<()> {
    let lake = place.lake("evaluate").await?;
    // So far back that the last of the minutes is not in the future.
    let now = database::clock(lake.database())
        .await?
        .minute()
        .plus(-MINUTES);
    market::calm(&lake, now, METRICS).await?;
    market::subscribe(&lake, SUBSCRIPTIONS, false).await?;
    lake.queries().follow(0).await?;
    let mut times = Vec::new();
    let mut seen = 0;
    for minute in 0..MINUTES {
        let ts = now.plus(minute);
        // The first begins with ten thousand rules that it has not seen; the sixth has ten jumps,
        // the last one ten thousand.
        let jumps = match minute {
            5 => 10,
            7 => METRICS,
            _ => 0,
        };
        let at = database::clock(lake.database()).await?;
        lake.import(market::minute(ts, METRICS, jumps)?, at).await?;
        seen = lake.queries().follow(seen).await?;
        times.push(evaluated(&lake, ts).await?);
    }
    let line = |name: &str, which: usize| figure(name, times[which].0, "ms");
    line("10,000 subscriptions, first minute", 0);
    let mut quiet: Vec<f64> = [1, 2, 3, 4, 6].map(|which: usize| times[which].0).to_vec();
    quiet.sort_unstable_by(f64::total_cmp);
    figure(
        "10,000 subscriptions, a quiet minute: median",
        quiet[2],
        "ms",
    );
    line(
        &format!(
            "10,000 subscriptions, ten jumps, {} alerts",
            times[5].1.alerts
        ),
        5,
    );
    line(
        &format!(
            "10,000 subscriptions, all jump, {} alerts",
            times[7].1.alerts
        ),
        7,
    );
    Ok(())
}

async fn evaluated(lake: &Arc<Lake>, ts: Minute) -> anyhow::Result<(f64, RecordCounts)> {
    let begun = Instant::now();
    let verdict = detection::evaluate(lake, ts).await?;
    let transaction = database::begin_write(lake.database()).await?;
    let now = database::clock(&transaction).await?;
    let recorded = verdict
        .record(&transaction, now, EnqueueOptions::default())
        .await?;
    transaction.commit().await?;
    Ok((millis(begun), recorded))
}
