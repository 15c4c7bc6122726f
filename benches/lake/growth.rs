//! Whether a lake of a year answers and ingests as fast as one of a day.

use std::sync::Arc;
use std::time::Instant;

use marketlake_entities::records::segments;
use marketlake_lake::{Lake, QueryEngine, Span, Statistic};
use marketlake_model::{Metric, Millis};
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, NotSet, Set};

use crate::files::publish;
use crate::measure::{Place, day, figure, median, metric, millis, samples};

const DAYS: i64 = 365;
const METRICS: usize = 1_000;

/// Measures queries of a lake of one day, then of 365.
pub async fn run(place: &Place) -> anyhow::Result<()> {
    let metrics: Vec<Metric> = (0..METRICS).map(metric).collect();
    let lake = place.lake("growth").await?;
    fill_day(&lake, &metrics).await?;
    measure_queries(&lake, &metrics, "1 day").await?;
    let begun = Instant::now();
    // One day's real segment stands for each of a year, so that the year is made in seconds.
    for back in 1..DAYS {
        copy_day(&lake, back).await?;
    }
    fill_slots(&lake).await?;
    figure(
        "(a year of catalog and slots made)",
        millis(begun) / 1e3,
        "s",
    );
    measure_queries(&lake, &metrics, "365 days").await
}

async fn fill_day(lake: &Arc<Lake>, metrics: &[Metric]) -> anyhow::Result<()> {
    let mut import = lake.importer(Millis(i64::MAX));
    for minute in 0..1_440 {
        import.push(samples(metrics, day().plus(minute)))?;
    }
    import.finish().await?;
    Ok(())
}

/// Copies the newest day's row to `back` days earlier.
async fn copy_day(lake: &Lake, back: i64) -> anyhow::Result<()> {
    let model = segments::Entity::find().one(lake.database()).await?;
    let model = model.ok_or_else(|| anyhow::anyhow!("no segment"))?;
    let earlier = |time: Millis| Millis(time.0 - back * 86_400_000);
    let mut copy: segments::ActiveModel = model.clone().into();
    copy.id = NotSet;
    copy.path = Set(format!("{}-{back}", model.path));
    copy.hour = Set(earlier(model.hour));
    copy.min_ts = Set(earlier(model.min_ts));
    copy.max_ts = Set(earlier(model.max_ts));
    copy.insert(lake.database()).await?;
    Ok(())
}

/// The slots that a year leaves: three jobs a minute.
async fn fill_slots(lake: &Lake) -> anyhow::Result<()> {
    let minutes = DAYS * 1_440;
    let first = day().plus(-minutes).start().0;
    for job in ["ingest-minute", "detect-jumps", "deliver-alerts"] {
        let sql = format!(
            "with recursive m(n) as (select 0 union all select n + 1 from m where n < {minutes}) \
             insert into job_runs \
             (job, slot, shard, state, token, attempts, not_before, created_at) \
             select '{job}', {first} + n * 60000, 0, 'done', 1, 1, 0, 0 from m"
        );
        lake.database().execute_unprepared(&sql).await?;
    }
    Ok(())
}

async fn measure_queries(lake: &Arc<Lake>, metrics: &[Metric], age: &str) -> anyhow::Result<()> {
    let engine = lake.datafusion();
    let span = Span::day(day());
    let took = median(31, async || {
        anyhow::ensure!(engine.timeseries(&metrics[42], span).await?.len() == 1_440);
        Ok(())
    });
    figure(
        &format!("{age}: series of a day from files"),
        took.await?,
        "ms",
    );
    let took = median(31, async || {
        anyhow::ensure!(
            engine
                .rank_position(&metrics[42], Statistic::Stddev, span)
                .await?
                .of
                == METRICS as u64
        );
        Ok(())
    });
    figure(
        &format!("{age}: rank over a day from files"),
        took.await?,
        "ms",
    );
    let mut times = Vec::new();
    for minute in 0..31 {
        let offset = if age == "1 day" { 1_440 } else { 1_500 };
        let ts = day().plus(offset + minute);
        let begun = Instant::now();
        let staged = lake.ingest().stage_minute(samples(metrics, ts)).await?;
        publish(lake, &staged).await?;
        times.push(millis(begun));
    }
    times.sort_unstable_by(f64::total_cmp);
    figure(
        &format!("{age}: a minute of 1,000 staged and committed"),
        times[15],
        "ms",
    );
    let took = median(31, async || {
        marketlake_jobs::slots::claim(
            lake.database(),
            "ingest-minute",
            "bench",
            &[],
            &marketlake_jobs::Clock::system(),
        )
        .await?;
        Ok(())
    });
    figure(
        &format!("{age}: a look for the next slot"),
        took.await?,
        "ms",
    );
    Ok(())
}
