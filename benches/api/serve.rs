//! A server with a day of 10,000 metrics, on which a minute a second is ingested, and each hour
//! that is whole compacted: by the jobs that do it otherwise, sixty times as often.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_feeds::{Batch, Coverage, Feed, FeedError};
use marketlake_http::options::{HttpLimits, HttpOptions};
use marketlake_jobs::{CompactHourly, IngestMinute, Job, RunOnce, Runner, Source};
use marketlake_lake::Lake;
use marketlake_model::{Metric, Millis, Minute};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::http_apis::HttpApis;
use crate::measure::{Place, metric, samples};
use crate::{micros, say};

pub const METRICS: usize = 10_000;
const DAY: i64 = 1_440;
/// Minutes by which ingested samples lie in the past, for slots of the future are refused.
const AHEAD: i64 = 180;
const SLOT: Duration = Duration::from_secs(1);

/// Says `ready ADDRESS`, then for each minute `minute NUMBER MICROS`: when its commit was over.
/// Ends with its standard input.
pub async fn run(place: &Place, name: &str, minutes: i64) -> anyhow::Result<()> {
    let lake = place.lake(name).await?;
    let now = database::clock(lake.database()).await?.minute();
    // In the middle of an hour, so that one is compacted half a minute later.
    let first = Minute::from_number((now.number() - AHEAD) / 60 * 60 + 30);
    history(&lake, first).await?;
    let seen = lake.queries().follow(0).await?;
    tokio::spawn(follow(Arc::clone(&lake), seen));
    let figures = PrometheusBuilder::new().install_recorder()?;
    let options = HttpOptions {
        limits: HttpLimits {
            // All requests come from one address.
            rate_limit_per_minute: 0,
            max_streams_per_client: 20_000,
            ..HttpLimits::default()
        },
        ..HttpOptions::default()
    };
    let router = HttpApis::new(&lake, figures, options).api();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    say(&format!("ready {address}"));
    let mut orders = String::new();
    // The first line begins, the end of input ends.
    tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut orders)).await??;
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    tokio::select! {
        ingested = ingest(&lake, first, minutes) => ingested?,
        _ = ended => return Ok(()),
    }
    std::future::pending().await
}

/// The day before a minute.
async fn history(lake: &Arc<Lake>, to: Minute) -> anyhow::Result<()> {
    let metrics = metrics();
    for hour in 0..DAY / 60 {
        let mut import = lake.importer(Millis(0));
        for minute in 0..60 {
            let ts = to.plus(hour * 60 + minute - DAY);
            import.push(samples(&metrics, ts))?;
        }
        import.finish().await?;
    }
    Ok(())
}

fn metrics() -> Vec<Metric> {
    (0..METRICS).map(metric).collect()
}

async fn follow(lake: Arc<Lake>, mut seen: i64) {
    loop {
        if let Ok(newest) = lake.queries().follow(seen).await {
            seen = newest;
        }
        tokio::select! {
            () = lake.wait_for_commit() => (),
            () = tokio::time::sleep(Duration::from_millis(500)) => (),
        }
    }
}

async fn ingest(lake: &Arc<Lake>, first: Minute, minutes: i64) -> anyhow::Result<()> {
    let feed: Arc<dyn Feed> = Arc::new(Remembering(metrics()));
    let ingest = IngestMinute::new(Arc::clone(lake), vec![Source::whole(feed)], None);
    let compact: Arc<CompactHourly> = Arc::new(CompactHourly::new(Arc::clone(lake)));
    let stop = CancellationToken::new();
    let runner = Arc::new(Runner::new(
        lake.database().clone(),
        "bench".to_owned(),
        stop,
    ));
    let mut bell = interval(SLOT);
    bell.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for minute in 0..minutes {
        bell.tick().await;
        let ts = first.plus(minute);
        once(&runner, &ingest, ts).await?;
        say(&format!("minute {} {}", ts.number(), micros()));
        if ts.number() % 60 == 59 {
            let (runner, compact) = (Arc::clone(&runner), Arc::clone(&compact));
            tokio::spawn(async move {
                let begun = micros();
                let ran = once(&runner, compact.as_ref(), ts.plus(-59)).await;
                say(&format!("compacted {} {ran:?}", micros() - begun));
            });
        }
    }
    Ok(())
}

async fn once(runner: &Runner, job: &dyn Job, slot: Minute) -> anyhow::Result<()> {
    let ran = runner.run_once(job, slot.start(), 0, false).await?;
    anyhow::ensure!(matches!(ran, RunOnce::Done(_)), "{}: {ran:?}", job.name());
    Ok(())
}

/// A feed with history, so that an hour need not pass.
struct Remembering(Vec<Metric>);

#[async_trait::async_trait]
impl Feed for Remembering {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn coverage(&self) -> Coverage {
        Coverage::Historical
    }

    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        let mut batch = Batch::default();
        for sample in samples(&self.0, slot) {
            batch.keep("bench", sample);
        }
        Ok(batch)
    }
}
