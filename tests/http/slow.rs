//! Clients that are slow, or silent.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::{SOON, address, answers, connect, connect_from, end_of, is_open, server};
use crate::support::base::Base;
use crate::support::eventually;
use crate::support::program::Running;

const HEAD: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

async fn read_one(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    while !said.ends_with(b"ok\n") {
        let mut part = [0; 1024];
        let read = timeout(SOON, stream.read(&mut part)).await;
        let read = read.expect("an answer in time").unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&part[..read]);
    }
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_send_nothing_or_half_a_head_are_closed() {
    let base = Base::local().await;
    let server = server(&base, &[("HEADER_TIMEOUT", "1s"), ("IDLE_TIMEOUT", "60s")]).await;
    let silent = connect(&server).await;
    let mut half = connect(&server).await;
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost: lo")
        .await
        .unwrap();
    let mut kept = connect(&server).await;
    kept.write_all(HEAD).await.unwrap();
    read_one(&mut kept).await;
    for (what, stream) in [("silent", silent), ("half", half)] {
        let (said, took) = end_of(stream).await;
        assert_eq!(said, "", "{what}");
        assert!(took < SOON, "{what}: {took:?}");
    }
    // An idle connection has another timeout, until its next request begins.
    assert!(is_open(&mut kept).await);
    kept.write_all(&HEAD[..20]).await.unwrap();
    assert_eq!(end_of(kept).await.0, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let base = Base::local().await;
    let server = server(&base, &[("HEADER_TIMEOUT", "1s")]).await;
    let mut stream = connect(&server).await;
    let cut = timeout(SOON, async {
        for byte in HEAD
            .iter()
            .cycle()
            .filter(|byte| **byte != b'\r' && **byte != b'\n')
        {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    cut.await.expect("the server closes the connection");
    answers(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_after_its_timeout() {
    let base = Base::local().await;
    let server = server(&base, &[("IDLE_TIMEOUT", "1s")]).await;
    let mut stream = connect(&server).await;
    for _ in 0..2 {
        stream.write_all(HEAD).await.unwrap();
        read_one(&mut stream).await;
    }
    let (said, took) = end_of(stream).await;
    assert_eq!(said, "");
    assert!(took < SOON, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_come_hold_no_permit() {
    let base = Base::local().await;
    let settings = [("MAX_REQUESTS", "4"), ("BODY_TIMEOUT", "60s")];
    let server = server(&base, &settings).await;
    let mut waiting = Vec::new();
    for _ in 0..260 {
        let mut stream = connect(&server).await;
        let head = b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: \
            application/json\r\ncontent-length: 100\r\n\r\n{";
        stream.write_all(head).await.unwrap();
        waiting.push(stream);
    }
    for _ in 0..20 {
        answers(&server).await;
    }
    // One whose body comes after all is answered.
    let mut late = waiting.pop().unwrap();
    let rest = format!("{:<99}", r#""query":"{ __typename }"}"#);
    late.write_all(rest.as_bytes()).await.unwrap();
    let mut said = vec![0; 4096];
    let read = timeout(SOON, late.read(&mut said)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&said[..read]).starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_times_out() {
    let base = Base::local().await;
    let settings = [("HEADER_TIMEOUT", "1s"), ("BODY_TIMEOUT", "3s")];
    let server = server(&base, &settings).await;
    let head = b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: \
        application/json\r\ncontent-length: 1000\r\n\r\n{";
    let mut stopped = connect(&server).await;
    stopped.write_all(head).await.unwrap();
    let mut slow = connect(&server).await;
    slow.write_all(head).await.unwrap();
    let (said, _) = end_of(stopped).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    // Progress alone does not help.
    let said = timeout(SOON, async {
        let (mut reader, mut writer) = slow.split();
        let drip = async {
            while writer.write_all(b" ").await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut said = Vec::new();
        tokio::select! {
            _ = reader.read_to_end(&mut said) => (),
            () = drip => (),
        }
        said
    });
    let said = said.await.expect("the server ends it");
    assert!(said.starts_with(b"HTTP/1.1 408"), "{said:?}");
}

/// A client that takes little: its system buffers next to nothing.
async fn small_reader(server: &Running) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.connect(address(server)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_of_a_long_answer_is_cut_off() {
    let base = Base::local().await;
    let server = server(&base, &[("WRITE_TIMEOUT", "1s"), ("IDLE_TIMEOUT", "60s")]).await;
    let mut stream = small_reader(&server).await;
    // Pipelined, so that more is to be written than any buffer takes.
    let requests = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1_000);
    let (mut reader, mut writer) = stream.split();
    let ended = timeout(SOON, async {
        let _ = writer.write_all(&requests).await;
        eventually("the connection to be cut off", async || {
            // A write to a connection that was closed fails at last.
            sleep(Duration::from_millis(100)).await;
            writer.write_all(b"\r\n").await.is_err().then_some(())
        })
        .await;
    });
    ended.await.expect("the server closes the connection");
    let mut rest = Vec::new();
    let _ = timeout(SOON, reader.read_to_end(&mut rest)).await;
    answers(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_from_many_addresses_stop_neither_answers_nor_the_end() {
    let base = Base::local().await;
    let mut server = server(&base, &[("HEADER_TIMEOUT", "60s")]).await;
    let mut open = Vec::new();
    for number in 0..1_200_usize {
        let last = u8::try_from(number % 200 + 2).unwrap();
        let mut stream = connect_from(&server, last).await;
        if number % 2 == 0 {
            stream.write_all(&HEAD[..30]).await.unwrap();
        }
        open.push(stream);
        if number % 100 == 0 {
            answers(&server).await;
        }
    }
    answers(&server).await;
    let (code, took) = server.interrupt().await;
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(9), "{took:?}");
}
