//! Questions: cold from the files, and over HTTP from the window.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use marketlake_http::options::{HttpLimits, HttpOptions};
use marketlake_lake::{JumpQuery, Lake, QueryEngine, Span, Statistic};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::{TcpListener, TcpStream};

use crate::http_apis::HttpApis;
use crate::measure::{figure, median, metric, millis};

const CALLS: usize = 101;

/// Latencies in milliseconds of the queries that the peers run too.
struct Answers {
    names: f64,
    series: f64,
    rank: f64,
    jumps: f64,
}

/// Measures queries of the day's lake.
pub async fn run(lake: &Arc<Lake>) -> anyhow::Result<()> {
    let cold = cold(lake).await?;
    let begun = Instant::now();
    lake.queries().follow(0).await?;
    figure(
        "the window rebuilt from a day's file",
        millis(begun) / 1e3,
        "s",
    );
    let warm = warm(lake).await?;
    let figures = lake.stats().await?;
    for (name, of) in [("marketlake, files", cold), ("marketlake, HTTP", warm)] {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let per_sample = |bytes: i64| bytes as f64 / figures.samples as f64;
        crate::say(&format!(
            "{name:17} {:.2} B/sample ({:.2} with rollups)  names {:.2} ms  series {:.2} ms  rank \
             {:.2} ms  jumps {:.2} ms",
            per_sample(figures.bytes - figures.rollup_bytes),
            per_sample(figures.bytes),
            of.names,
            of.series,
            of.rank,
            of.jumps
        ));
    }
    Ok(())
}

async fn cold(lake: &Lake) -> anyhow::Result<Answers> {
    let engine = lake.datafusion();
    let day = Span::day(crate::measure::day());
    let begun = Instant::now();
    engine.timeseries(&metric(42), day).await?;
    figure(
        "files: series of a day, the very first question",
        millis(begun),
        "ms",
    );
    let series = median(CALLS, async || {
        anyhow::ensure!(engine.timeseries(&metric(42), day).await?.len() == 1_440);
        Ok(())
    });
    let series = series.await?;
    let rank = median(CALLS, async || {
        anyhow::ensure!(
            engine
                .rank_position(&metric(42), Statistic::Stddev, day)
                .await?
                .of
                == 10_000
        );
        Ok(())
    });
    let rank = rank.await?;
    let names = median(CALLS, async || {
        anyhow::ensure!(engine.metrics(day).await?.len() == 10_000);
        Ok(())
    });
    let names = names.await?;
    let query = newest(day);
    let jumps = median(9, async || {
        engine.jumps(&query).await?;
        Ok(())
    });
    let jumps = jumps.await?;
    let place = engine
        .rank_position(&metric(42), Statistic::Stddev, day)
        .await?;
    let rank_of = place.ranked.map(|standing| standing.rank);
    crate::say(&format!("rank of m00042: {rank_of:?} of {}", place.of));
    Ok(Answers {
        names,
        series,
        rank,
        jumps,
    })
}

/// The jumps of a day's last minute.
fn newest(day: Span) -> JumpQuery {
    JumpQuery {
        rule: marketlake_model::JumpRule::default(),
        span: Span {
            from: day.to,
            to: day.to,
        },
        metric: None,
    }
}

async fn warm(lake: &Arc<Lake>) -> anyhow::Result<Answers> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let figures = PrometheusBuilder::new().build_recorder().handle();
    let options = HttpOptions {
        limits: HttpLimits {
            // One client sends all requests.
            rate_limit_per_minute: 0,
            ..HttpLimits::default()
        },
        ..HttpOptions::default()
    };
    let http = HttpApis::new(lake, figures, options);
    let router = http.api();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut medians = Vec::new();
    for (name, route) in [
        ("names, all 10,000", "/v1/metrics"),
        ("names, a page of 100", "/v1/metrics?limit=100"),
        ("series of a day, rows", "/v1/metric/m00042/timeseries"),
        (
            "series of a day, columns",
            "/v1/metric/m00042/timeseries?format=columns",
        ),
        ("rank", "/v1/metric/m00042/rank"),
    ] {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..CALLS * 3 {
            let begun = Instant::now();
            bytes = get(&mut sender, route).await?;
            times.push(millis(begun));
        }
        times.sort_unstable_by(f64::total_cmp);
        let took = times[times.len() / 2];
        figure(&format!("HTTP: {name} ({} kB)", bytes / 1_000), took, "ms");
        medians.push(took);
    }
    let window = lake.recent_day();
    let day = Span::day(crate::measure::day());
    let query = newest(day);
    let took = median(CALLS, async || {
        window.jumps(&query).await?;
        Ok(())
    });
    let jumps = took.await?;
    figure(
        "window: jumps of a minute (no route of its own yet)",
        jumps,
        "ms",
    );
    server.abort();
    Ok(Answers {
        names: medians[0],
        series: medians[2],
        rank: medians[4],
        jumps,
    })
}

async fn get(sender: &mut SendRequest<Empty<Bytes>>, route: &str) -> anyhow::Result<usize> {
    let request = hyper::Request::get(route)
        .header("host", "127.0.0.1")
        .body(Empty::new())?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    anyhow::ensure!(
        response.status().is_success(),
        "{route}: {}",
        response.status()
    );
    Ok(response.into_body().collect().await?.to_bytes().len())
}
