//! From the answer's last byte to the commit, on a folder and on S3.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use marketlake_feeds::{Batch, Coverage, Exchange, ExchangeOptions, Feed, FeedError};
use marketlake_jobs::{IngestMinute, Runner, Source};
use marketlake_lake::Lake;
use marketlake_model::Minute;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cloud;
use crate::measure::{Place, figure};

/// The feed as if it had history, so that an hour need not pass.
struct Remembering(Arc<dyn Feed>);

#[async_trait::async_trait]
impl Feed for Remembering {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn coverage(&self) -> Coverage {
        Coverage::Historical
    }

    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        self.0.samples(slot).await
    }
}

const MINUTES: i64 = 60;
const SYMBOLS: usize = 10_000;

/// Sixty minutes of 10,000 symbols.
pub async fn run(place: &Place) -> anyhow::Result<()> {
    let lake = place.lake("ingest").await?;
    measure(&lake, "folder").await?;
    let store = cloud::store(&place.path("s3")).await?;
    let lake = place.lake_on("ingest-s3", store).await?;
    measure(&lake, "loopback S3").await
}

async fn measure(lake: &Arc<Lake>, name: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    let answered = Arc::new(AtomicU64::new(0));
    let at = Arc::clone(&answered);
    let body = tickers();
    let answer = get(move || {
        let (at, body) = (Arc::clone(&at), body.clone());
        async move {
            at.store(micros(begun), Ordering::SeqCst);
            body
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let options = ExchangeOptions {
        base_url: Some(format!("http://{}", listener.local_addr()?).parse()?),
        ..ExchangeOptions::default()
    };
    let router = Router::new().route("/api/v3/ticker/24hr", answer);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let binance = Exchange::by_name("binance").context("no exchange binance")?;
    let feed: Arc<dyn Feed> = Arc::new(Remembering(binance.poll(&options)?));
    let job = IngestMinute::new(Arc::clone(lake), vec![Source::whole(feed)], None);
    let runner = Runner::new(
        lake.database().clone(),
        "bench".to_owned(),
        CancellationToken::new(),
    );
    let now = marketlake_entities::database::clock(lake.database())
        .await?
        .minute();
    let mut times = Vec::new();
    for minute in 0..MINUTES {
        let ran = runner
            .run_once(&job, now.plus(minute - MINUTES).start(), 0, false)
            .await?;
        let took = micros(begun) - answered.load(Ordering::SeqCst);
        anyhow::ensure!(matches!(ran, marketlake_jobs::RunOnce::Done(_)), "{ran:?}");
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        times.push(took as f64 / 1e3);
    }
    times.sort_unstable_by(f64::total_cmp);
    figure(
        &format!("ingest of 10,000 symbols, answer to commit, {name}: median"),
        times[times.len() / 2],
        "ms",
    );
    figure(
        &format!("ingest of 10,000 symbols, answer to commit, {name}: most"),
        times[times.len() - 1],
        "ms",
    );
    server.abort();
    Ok(())
}

fn micros(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn tickers() -> String {
    let ticker = |number: usize| {
        let price = format!("{}.{:08}", number + 1, number * 7_919);
        format!(
            "{{\"symbol\":\"M{number:05}TRY\",\"lastPrice\":\"{price}\",\"volume\":\"{number}.5\"}}"
        )
    };
    let all: Vec<String> = (0..SYMBOLS).map(ticker).collect();
    format!("[{}]", all.join(","))
}
