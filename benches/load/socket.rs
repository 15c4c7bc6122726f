//! TCP connections from many addresses of 127.0.0.0/8.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The address of a client of a group: each /16 of loopback is a group, ten clients share one.
pub fn address(group: u8, number: usize) -> IpAddr {
    let host = number / 10 + 1;
    let (high, low) = (host / 250, host % 250 + 1);
    let octet = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, group, octet(high), octet(low)).into()
}

/// Connects from an address.
pub async fn connect(from: IpAddr, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = timeout(CONNECT_TIMEOUT, socket.connect(to)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends bytes and reads until the server closes, `limit` bytes came or `wait` is over. Returns the
/// status of the response, if there was one.
pub async fn exchange(
    mut stream: TcpStream,
    bytes: &[u8],
    limit: usize,
    wait: Duration,
) -> anyhow::Result<Option<u16>> {
    let mut received = Vec::new();
    let talk = async {
        stream.write_all(bytes).await?;
        let mut part = vec![0; 16 << 10];
        while received.len() < limit {
            let count = stream.read(&mut part).await?;
            if count == 0 {
                break;
            }
            received.extend_from_slice(&part[..count]);
        }
        anyhow::Ok(())
    };
    // A reset or a timeout is an answer too: what came until then counts.
    let _ = timeout(wait, talk).await;
    Ok(status(&received))
}

fn status(received: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(received.get(9..12)?).ok()?;
    text.parse().ok()
}
