//! Latency from the end of a minute to its first mail, with everything running in one process:
//! scheduler, 10,000 metrics ingested, evaluated for 10,000 subscriptions, written, sent.

use std::sync::Arc;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_feeds::{Batch, Coverage, Feed, FeedError};
use marketlake_jobs::{JobDeps, JobSet, Runner, Scheduler, Source, WatchdogOptions};
use marketlake_lake::Retention;
use marketlake_model::Minute;
use tokio_util::sync::CancellationToken;

use crate::burst::sender;
use crate::market::{self, METRICS};
use crate::measure::{Place, figure};
use crate::sink::Sink;

const MINUTES: usize = 4;

/// Ten thousand metrics of this moment, of which ten jump in every minute.
struct Live;

#[async_trait::async_trait]
impl Feed for Live {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn coverage(&self) -> Coverage {
        Coverage::LiveOnly
    }

    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        let mut samples = market::minute(slot, METRICS, 0).unwrap_or_default();
        // Others in each minute, so that none is still firing.
        let first = usize::try_from(slot.number() % 900).unwrap_or(0) * 10;
        for sample in samples.iter_mut().skip(first).take(10) {
            sample.value = marketlake_model::Exact::new(440, 0).unwrap_or(sample.value);
        }
        let mut batch = Batch::default();
        for sample in samples {
            batch.keep("bench", sample);
        }
        Ok(batch)
    }
}

pub async fn run(place: &Place) -> anyhow::Result<()> {
    let lake = place.lake("live").await?;
    let now = database::clock(lake.database()).await?.minute();
    market::calm(&lake, now, METRICS).await?;
    market::subscribe(&lake, METRICS, true).await?;
    lake.queries().follow(0).await?;
    let sink = Sink::open().await?;
    let stop = CancellationToken::new();
    let jobs = JobSet::all(JobDeps {
        lake: Arc::clone(&lake),
        feeds: vec![Source::whole(Arc::new(Live))],
        pace: None,
        sender: sender(lake.database(), &sink.url, 8)?,
        max_mails_per_day: 1_000_000,
        max_alert_age: Duration::from_secs(86_400),
        watch: WatchdogOptions {
            operator: None,
            feed_stale_after: Duration::from_secs(600),
        },
        grace: Duration::from_secs(3_600),
        retention: Retention {
            raw: None,
            hour: None,
            day: None,
        },
        stop: stop.clone(),
    });
    let following = tokio::spawn({
        let (lake, stop) = (Arc::clone(&lake), stop.clone());
        async move {
            let mut seen = 0;
            while !stop.is_cancelled() {
                if let Ok(newest) = lake.queries().follow(seen).await {
                    seen = newest;
                }
                tokio::select! {
                    () = lake.wait_for_commit() => (),
                    () = tokio::time::sleep(Duration::from_millis(500)) => (),
                    () = stop.cancelled() => (),
                }
            }
        }
    });
    let runner = Runner::new(lake.database().clone(), "bench".to_owned(), stop.clone());
    let running = tokio::spawn(Scheduler::new(jobs, None, runner).run());
    // The minute that is over already, and then those from their end on.
    let mut firsts = Vec::new();
    let begun = chrono::Utc::now().timestamp_millis() / 60_000;
    while firsts.len() < MINUTES {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let times = sink.times.lock().clone();
        firsts = (begun + 1..)
            .map_while(|minute| {
                let of_minute = times.iter().filter(|at| *at / 60_000 == minute);
                of_minute.min().map(|first| first % 60_000)
            })
            .collect();
        anyhow::ensure!(!running.is_finished(), "the scheduler ended");
    }
    stop.cancel();
    running.await??;
    following.await?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let mut millis: Vec<f64> = firsts.into_iter().map(|first| first as f64).collect();
    millis.sort_unstable_by(f64::total_cmp);
    figure(
        "a minute's end to its first mail taken: median",
        millis[MINUTES / 2],
        "ms",
    );
    figure("  the slowest", millis[MINUTES - 1], "ms");
    Ok(())
}
