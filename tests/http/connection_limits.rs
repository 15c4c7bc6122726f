//! Limits on open connections and streams.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{SOON, answers, connect_from, end_of, is_open, server};
use crate::support::base::Base;
use crate::support::program::{Program, Running};

/// A connection that the server is busy with: a body that does not come.
async fn busy(server: &Running, last: u8) -> TcpStream {
    let mut stream = connect_from(server, last).await;
    let head = b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: \
        application/json\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head).await.unwrap();
    stream
}

/// Whether a request from an address is answered.
async fn is_answered(server: &Running, last: u8) -> bool {
    let mut stream = connect_from(server, last).await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    if stream.write_all(request).await.is_err() {
        return false;
    }
    let mut said = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut said)).await;
    read.expect("an answer or an end").is_ok() && said.starts_with(b"HTTP/1.1 200")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_may_have_so_many_connections_and_others_theirs() {
    let base = Base::local().await;
    let settings = [("MAX_CONNECTIONS_PER_IP", "4"), ("HEADER_TIMEOUT", "60s")];
    let server = server(&base, &settings).await;
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(busy(&server, 7).await);
    }
    crate::support::eventually("the fifth to be refused", async || {
        (!is_answered(&server, 7).await).then_some(())
    })
    .await;
    assert!(is_answered(&server, 8).await);
    answers(&server).await;
    drop(all.pop());
    crate::support::eventually("room for another one", async || {
        is_answered(&server, 7).await.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_proxies_of_ones_own_addresses_are_not_counted() {
    let base = Base::local().await;
    let settings = [
        ("MAX_CONNECTIONS_PER_IP", "2"),
        ("TRUSTED_PROXIES", "1"),
        ("HEADER_TIMEOUT", "60s"),
    ];
    let program = settings
        .iter()
        .fold(Program::on(&base), |program, (name, value)| {
            program.with(&format!("MARKETLAKE_SERVER__{name}"), value)
        })
        .with("MARKETLAKE_AUTH__MODE", "keys");
    let server = crate::rest::serve_with(&program, &base, crate::rest::HISTORY).await;
    let mut all = Vec::new();
    for _ in 0..10 {
        all.push(busy(&server, 7).await);
    }
    for stream in &mut all {
        assert!(is_open(stream).await);
    }
    assert!(is_answered(&server, 7).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_make_room_and_busy_ones_do_not() {
    let base = Base::local().await;
    let settings = [
        ("MAX_CONNECTIONS", "20"),
        ("MAX_CONNECTIONS_PER_IP", "100"),
        ("HEADER_TIMEOUT", "60s"),
    ];
    let server = server(&base, &settings).await;
    let mut silent = Vec::new();
    for _ in 0..19 {
        silent.push(connect_from(&server, 9).await);
    }
    // Those that were opened a moment ago stay, so that a flood cannot chase away who just came.
    sleep(Duration::from_millis(1_500)).await;
    for _ in 0..10 {
        assert!(is_answered(&server, 8).await);
    }
    // While the idle ones are being closed a new one may be refused.
    let mut busy_ones: Vec<TcpStream> = Vec::new();
    crate::support::eventually("twenty busy ones", async || {
        let mut open = Vec::new();
        for mut stream in busy_ones.drain(..) {
            if is_open(&mut stream).await {
                open.push(stream);
            }
        }
        busy_ones = open;
        while busy_ones.len() < 20 {
            busy_ones.push(busy(&server, 8).await);
        }
        let mut are_open = true;
        for stream in &mut busy_ones {
            are_open &= is_open(stream).await;
        }
        are_open.then_some(())
    })
    .await;
    let mut closed = 0;
    for stream in silent {
        let (said, _) = end_of(stream).await;
        assert_eq!(said, "");
        closed += 1;
    }
    assert_eq!(closed, 19);
    crate::support::eventually("a new one to be refused", async || {
        (!is_answered(&server, 10).await).then_some(())
    })
    .await;
    drop(busy_ones);
    crate::support::eventually("room", async || {
        is_answered(&server, 10).await.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_above_the_files_that_may_be_open_is_refused_at_the_start() {
    let base = Base::local().await;
    let program = Program::on(&base);
    for (name, value, expected) in [
        (
            "MAX_CONNECTIONS",
            "100000000",
            "limit of open files minus 512",
        ),
        ("MAX_CONNECTIONS", "0", "server.max_connections"),
        (
            "MAX_CONNECTIONS_PER_IP",
            "0",
            "server.max_connections_per_ip",
        ),
        ("HEADER_TIMEOUT", "0s", "server.header_timeout"),
        ("BODY_TIMEOUT", "2h", "server.body_timeout"),
        ("IDLE_TIMEOUT", "soon", "server.idle_timeout"),
        ("WRITE_TIMEOUT", "-1s", "server.write_timeout"),
    ] {
        let program = program
            .clone()
            .with("MARKETLAKE_SERVER__LISTEN", "127.0.0.1:0")
            .with(&format!("MARKETLAKE_SERVER__{name}"), value);
        let said = program.run(&["up", "--role", "api"]).await;
        assert_eq!(said.code, 2, "{name}={value}: {said:?}");
        assert!(said.err.contains(expected), "{name}={value}: {said:?}");
    }
}

/// Files that a process has open.
fn open_files(server: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.id()))
        .unwrap()
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_leave_files_for_everything_else() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with_max_files(600)
        .with("MARKETLAKE_SERVER__HEADER_TIMEOUT", "60s");
    let server = crate::rest::serve_with(&program, &base, crate::rest::HISTORY).await;
    let before = open_files(&server);
    let mut open = Vec::new();
    for number in 0..600_usize {
        let last = u8::try_from(number % 100 + 2).unwrap();
        open.push(connect_from(&server, last).await);
    }
    // 600 - 512 connections, and a few more until those that make room are closed.
    crate::support::eventually("the rest to be closed", async || {
        (open_files(&server) <= before + 90).then_some(())
    })
    .await;
    crate::support::eventually("room for another client", async || {
        is_answered(&server, 200).await.then_some(())
    })
    .await;
    for _ in 0..20 {
        answers(&server).await;
    }
    assert!(
        open_files(&server) <= before + 100,
        "{}",
        open_files(&server)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn running_out_of_files_is_survived() {
    let base = Base::local().await;
    let server = server(&base, &[("HEADER_TIMEOUT", "60s")]).await;
    let files = (open_files(&server) + 20).to_string();
    let limited = std::process::Command::new("prlimit")
        .args([
            "--pid",
            &server.id().to_string(),
            &format!("--nofile={files}:{files}"),
        ])
        .status();
    assert!(limited.unwrap().success());
    let mut open = Vec::new();
    for number in 0..100_usize {
        let last = u8::try_from(number % 100 + 2).unwrap();
        open.push(connect_from(&server, last).await);
    }
    // Idle ones are closed for those that wait.
    crate::support::eventually("an answer", async || {
        is_answered(&server, 200).await.then_some(())
    })
    .await;
    drop(open);
    answers(&server).await;
}

/// The status of the answer to a subscription over events; the stream stays open with the socket.
async fn subscribe(server: &Running, last: u8) -> (TcpStream, String) {
    let mut stream = connect_from(server, last).await;
    let body = r#"{"query":"subscription { slots { timestamp } }"}"#;
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = [0; 12];
    let read = timeout(SOON, stream.read_exact(&mut said)).await;
    read.expect("an answer in time").unwrap();
    let status = String::from_utf8_lossy(&said[9..]).into_owned();
    (stream, status)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_may_have_so_many_streams_and_others_theirs() {
    let base = Base::local().await;
    let settings = [("MAX_STREAMS_PER_CLIENT", "2")];
    let server = server(&base, &settings).await;
    let mut open = Vec::new();
    for expected in ["200", "200", "503"] {
        let (stream, status) = subscribe(&server, 7).await;
        assert_eq!(status, expected);
        open.push(stream);
    }
    assert_eq!(subscribe(&server, 8).await.1, "200");
    drop(open);
    crate::support::eventually("room for another one", async || {
        (subscribe(&server, 7).await.1 == "200").then_some(())
    })
    .await;
}
