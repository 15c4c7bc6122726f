//! Clients that connect and say nothing, or one request and then nothing more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::socket;
use crate::verdict::Counters;

const REQUEST: &[u8] = b"GET /v1/metric/hottry/rank HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
/// Between the end of a connection and the next one.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(5);

/// Keeps one connection open; opens another one where the server closed it.
pub async fn run(number: usize, to: SocketAddr, counters: Arc<Counters>, stop: CancellationToken) {
    // Not all at once.
    let start = Duration::from_millis(u64::try_from(number).unwrap_or(0) * 5);
    tokio::select! {
        () = tokio::time::sleep(start) => (),
        () = stop.cancelled() => return,
    }
    let endless = async {
        loop {
            match hold(number, to).await {
                Ok(()) => counters.add(&counters.idle_closed),
                Err(_) => counters.add(&counters.idle_refused),
            }
            tokio::time::sleep(RECONNECT_INTERVAL).await;
        }
    };
    tokio::select! {
        () = endless => (),
        () = stop.cancelled() => (),
    }
}

/// Ends when the server closes the connection.
async fn hold(number: usize, to: SocketAddr) -> anyhow::Result<()> {
    let mut stream = socket::connect(socket::address(10, number), to).await?;
    if number.is_multiple_of(2) {
        stream.write_all(REQUEST).await?;
    }
    let mut part = vec![0; 4 << 10];
    while stream.read(&mut part).await? > 0 {}
    Ok(())
}
