//! Questions: cold from the files, and over HTTP from the window.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use marketlake_lake::{JumpQuery, Lake, QueryEngine, Span};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::{TcpListener, TcpStream};

use crate::measure::{figure, median, metric, millis, resident};

const CALLS: usize = 101;

/// Asks the day's lake.
pub async fn run(lake: &Arc<Lake>) -> anyhow::Result<()> {
    cold(lake).await?;
    let begun = Instant::now();
    lake.follow(0).await?;
    figure(
        "the window rebuilt from a day's file",
        millis(begun) / 1e3,
        "s",
    );
    figure(
        "resident with it (and the benchmark's own)",
        resident().0,
        "MiB",
    );
    warm(lake).await
}

async fn cold(lake: &Lake) -> anyhow::Result<()> {
    let engine = lake.embedded();
    let day = Span::day(crate::measure::day());
    let begun = Instant::now();
    engine.timeseries(&metric(42), day).await?;
    figure(
        "files: series of a day, the very first question",
        millis(begun),
        "ms",
    );
    let took = median(CALLS, async || {
        anyhow::ensure!(engine.timeseries(&metric(42), day).await?.len() == 1_440);
        Ok(())
    });
    figure("files: series of a day", took.await?, "ms");
    let took = median(CALLS, async || {
        anyhow::ensure!(engine.standing(&metric(42), day).await?.of == 10_000);
        Ok(())
    });
    figure("files: rank among all, from rollups", took.await?, "ms");
    let took = median(9, async || {
        anyhow::ensure!(engine.metrics(day).await?.len() == 10_000);
        Ok(())
    });
    figure("files: names", took.await?, "ms");
    let query = JumpQuery {
        rule: marketlake_entities::JumpRule::default(),
        span: Span {
            from: day.to,
            to: day.to,
        },
        metric: None,
    };
    let took = median(9, async || {
        engine.jumps(&query).await?;
        Ok(())
    });
    figure("files: jumps of a minute", took.await?, "ms");
    let place = engine.standing(&metric(42), day).await?;
    crate::say(&format!(
        "m00042: {:?} of {}",
        place.standing.map(|s| s.rank),
        place.of
    ));
    Ok(())
}

async fn warm(lake: &Arc<Lake>) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let figures = PrometheusBuilder::new().build_recorder().handle();
    let router = marketlake_graphql::router(lake, figures);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
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
        figure(
            &format!("HTTP: {name} ({} kB)", bytes / 1_000),
            times[times.len() / 2],
            "ms",
        );
    }
    let window = lake.window();
    let day = Span::day(crate::measure::day());
    let query = JumpQuery {
        rule: marketlake_entities::JumpRule::default(),
        span: Span {
            from: day.to,
            to: day.to,
        },
        metric: None,
    };
    let took = median(CALLS, async || {
        window.jumps(&query).await?;
        Ok(())
    });
    figure("window: jumps of a minute", took.await?, "ms");
    server.abort();
    Ok(())
}

async fn get(sender: &mut SendRequest<Empty<Bytes>>, route: &str) -> anyhow::Result<usize> {
    let request = hyper::Request::get(route)
        .header("host", "bench")
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
