//! Clients that send headers or bodies a byte a second, or read a large response slowly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::socket;
use crate::verdict::Counters;

const HEADERS: &[u8] =
    b"GET /v1/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const BODY: &[u8] =
    b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
    Content-Length: 100000\r\n\r\n";
const LARGE: &[u8] = b"GET /v1/metric/hottry/timeseries HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
const STEP_INTERVAL: Duration = Duration::from_secs(1);

/// Opens one slow connection after the other.
pub async fn run(number: usize, to: SocketAddr, counters: Arc<Counters>, stop: CancellationToken) {
    let endless = async {
        loop {
            let ended = match number % 3 {
                0 => send_slowly(number, to, &[], HEADERS).await,
                1 => send_slowly(number, to, BODY, &[b'{'; 600]).await,
                _ => read_slowly(number, to).await,
            };
            match ended {
                Ok(()) => counters.add(&counters.slow_closed),
                Err(_) => counters.add(&counters.slow_refused),
            }
            tokio::time::sleep(STEP_INTERVAL).await;
        }
    };
    tokio::select! {
        () = endless => (),
        () = stop.cancelled() => (),
    }
}

/// Sends `first` at once and the rest a byte a second, until the server has had enough.
async fn send_slowly(
    number: usize,
    to: SocketAddr,
    first: &[u8],
    rest: &[u8],
) -> anyhow::Result<()> {
    let mut stream = socket::connect(socket::address(20, number), to).await?;
    stream.write_all(first).await?;
    let mut part = [0; 1 << 10];
    for byte in rest.iter().cycle() {
        if stream.write_all(&[*byte]).await.is_err() {
            return Ok(());
        }
        let read = tokio::time::timeout(STEP_INTERVAL, stream.read(&mut part)).await;
        if let Ok(Ok(0) | Err(_)) = read {
            return Ok(());
        }
    }
    Ok(())
}

async fn read_slowly(number: usize, to: SocketAddr) -> anyhow::Result<()> {
    let mut stream = socket::connect(socket::address(20, number), to).await?;
    // Many responses in a row, so that no buffer of the kernel holds them all.
    for _ in 0..200 {
        let sent = stream.write_all(LARGE);
        if tokio::time::timeout(STEP_INTERVAL, sent).await.is_err() {
            break;
        }
    }
    let mut byte = [0; 16];
    while let Ok(count) = stream.read(&mut byte).await {
        if count == 0 {
            break;
        }
        tokio::time::sleep(STEP_INTERVAL).await;
    }
    Ok(())
}
