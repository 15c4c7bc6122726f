//! Ordinary requests at a fixed rate, each timed from when it was due.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::socket;
use crate::verdict::Counters;

const REQUESTS_PER_SECOND: f64 = 200.0;
/// Connections that share the rate, each from an address of its own.
pub const CONNECTIONS: usize = 50;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

type Connection = SendRequest<Full<Bytes>>;

/// Sends requests over one connection until it is stopped.
pub async fn run(number: usize, to: SocketAddr, counters: Arc<Counters>, stop: CancellationToken) {
    tokio::select! {
        () = send_on_schedule(number, to, &counters) => (),
        () = stop.cancelled() => (),
    }
}

async fn send_on_schedule(number: usize, to: SocketAddr, counters: &Counters) {
    let interval = Duration::from_secs(1).mul_f64(CONNECTIONS as f64 / REQUESTS_PER_SECOND);
    let mut due = Instant::now() + interval.mul_f64(number as f64 / CONNECTIONS as f64);
    let mut connection = None;
    for turn in number.. {
        tokio::time::sleep_until(due).await;
        let sent = async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => connect(number, to).await?,
            };
            let status = send(&mut open, turn).await?;
            connection = Some(open);
            anyhow::Ok(status)
        };
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, sent).await;
        match answer {
            Ok(Ok(200)) => counters.record(due.elapsed()),
            Ok(Ok(status)) => counters.fail(format!("status {status}")),
            Ok(Err(error)) => counters.fail(format!("{error:#}")),
            Err(_) => counters.fail("no answer within 30 s".to_owned()),
        }
        due += interval;
    }
}

async fn connect(number: usize, to: SocketAddr) -> anyhow::Result<Connection> {
    let stream = socket::connect(socket::address(40, number * 10), to).await?;
    let (connection, driver) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(connection)
}

async fn send(connection: &mut Connection, turn: usize) -> anyhow::Result<u16> {
    const GRAPHQL: &str =
        r#"{"query":"{ ranking(first: 3) { nodes { display metric { id } } } }"}"#;
    let (method, path, body) = match turn % 8 {
        0 => (Method::GET, "/v1/metrics?limit=100", ""),
        1 | 2 => (Method::GET, "/v1/metric/hottry/rank", ""),
        3 => (
            Method::GET,
            "/v1/metric/hottry/timeseries?format=columns",
            "",
        ),
        4 => (Method::GET, "/v1/ranking?limit=20", ""),
        5 => (
            Method::GET,
            "/prometheus/api/v1/query?query=avg_over_time(price%7Bpair%3D%22hottry%22%7D%5B1h%5D)",
            "",
        ),
        _ => (Method::POST, "/graphql", GRAPHQL),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from_static(body.as_bytes())))?;
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(status)
}
