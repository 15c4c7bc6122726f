//! Ninety days of one metric, from the files of a lake of 200.

use marketlake_alerts::{Rule, backtest};
use marketlake_entities::database;
use marketlake_model::{JumpRule, Minute, parse_time};

use crate::market;
use crate::measure::{Place, figure, median};

const DAYS: i64 = 90;
const METRICS: usize = 200;
const CALLS: usize = 15;

pub async fn run(place: &Place) -> anyhow::Result<()> {
    let lake = place.lake("backtest").await?;
    let first = parse_time("2026-06-01T00:00:00Z")?.minute();
    for day in 0..DAYS {
        let mut samples = Vec::new();
        for minute in 0..1_440 {
            let ts = first.plus(day * 1_440 + minute);
            // Every 1,000th minute some metrics jump.
            let jumps = if ts.number() % 1_000 == 0 { 100 } else { 0 };
            samples.extend(market::minute(ts, METRICS, jumps)?);
        }
        let now = database::clock(lake.database()).await?;
        lake.import(samples, now).await?;
    }
    let last: Minute = first.plus(DAYS * 1_440 - 1);
    let rule = Rule::new(JumpRule::default());
    for (name, number) in [("jumps", 7), ("calm", 150)] {
        let metric = market::metric(number)?;
        let pattern = metric.id().parse()?;
        let mut mails = 0;
        let took = median(CALLS, || async {
            let found = backtest(&lake, &pattern, &rule, 90, last).await?;
            let found = found.map_err(|error| anyhow::anyhow!("{error:?}"))?;
            anyhow::ensure!(found.samples == 129_600, "{} samples", found.samples);
            Ok(())
        })
        .await?;
        if let Ok(found) = backtest(&lake, &pattern, &rule, 90, last).await? {
            mails = found.mails;
        }
        figure(
            &format!("backtest of 90 days, {name}, {mails} mails: median"),
            took,
            "ms",
        );
    }
    Ok(())
}
