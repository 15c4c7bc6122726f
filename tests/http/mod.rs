//! The HTTP server's connections: slow, idle or too many clients delay no other.

mod connection_limits;
mod heads;
mod nesting;
mod request_cost;
mod sizes;
mod slow;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::rest::{HISTORY, serve_with};
use crate::support::base::Base;
use crate::support::program::{Program, Running};

/// Limit for what a test waits for, on a machine that runs other tests beside.
const SOON: Duration = Duration::from_secs(20);

/// A server with settings of its own, like `("HEADER_TIMEOUT", "1s")`.
async fn server(base: &Base, settings: &[(&str, &str)]) -> Running {
    let program = settings
        .iter()
        .fold(Program::on(base), |program, (name, value)| {
            program.with(&format!("MARKETLAKE_SERVER__{name}"), value)
        });
    serve_with(&program, base, HISTORY).await
}

fn address(server: &Running) -> SocketAddr {
    server
        .url("")
        .trim_start_matches("http://")
        .parse()
        .unwrap()
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(address(server)).await.unwrap()
}

/// A connection from another address of this machine: 127.0.0.LAST.
async fn connect_from(server: &Running, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::from(([127, 0, 0, last], 0)))
        .unwrap();
    socket.connect(address(server)).await.unwrap()
}

/// Sends bytes, and reads until the server closes the connection. Panics where it never does.
async fn exchange(server: &Running, sent: &[u8]) -> String {
    let mut stream = connect(server).await;
    stream.write_all(sent).await.unwrap();
    end_of(stream).await.0
}

/// Text until the server closes a connection, and the time it took.
async fn end_of(mut stream: TcpStream) -> (String, Duration) {
    let begun = Instant::now();
    let mut said = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut said)).await;
    // A reset is an end too.
    let _ = read.expect("the server closes the connection");
    (String::from_utf8_lossy(&said).into_owned(), begun.elapsed())
}

/// Whether a connection is still open: nothing comes, and no end.
async fn is_open(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    timeout(Duration::from_millis(50), stream.peek(&mut byte))
        .await
        .is_err()
}

/// A request that others send meanwhile must be answered soon.
async fn answers(server: &Running) {
    let pending = timeout(SOON, server.get("/v1/metrics?limit=1"));
    let response = pending.await.expect("an answer in time");
    assert_eq!(response.status().as_u16(), 200);
}
