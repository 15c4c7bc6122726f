//! Requests that could be understood in two ways.

use tokio::io::AsyncWriteExt;

use super::{answers, connect, end_of, exchange, server};
use crate::support::base::Base;

fn status(said: &str) -> &str {
    said.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_one_host_and_one_path() {
    let base = Base::local().await;
    let server = server(&base, &[]).await;
    for (what, head, expected) in [
        ("no Host", "GET /healthz HTTP/1.1\r\n\r\n", "400"),
        (
            "two Hosts",
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n",
            "400",
        ),
        (
            "the same Host twice",
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nHost: localhost\r\n\r\n",
            "400",
        ),
        (
            "an empty Host",
            "GET /healthz HTTP/1.1\r\nhost:\r\n\r\n",
            "400",
        ),
        (
            "a Host with a user",
            "GET /healthz HTTP/1.1\r\nhost: localhost@evil.example\r\n\r\n",
            "400",
        ),
        (
            "a Host with a path",
            "GET /healthz HTTP/1.1\r\nhost: localhost/evil\r\n\r\n",
            "400",
        ),
        (
            "a target of another host",
            "GET http://localhost/healthz HTTP/1.1\r\nhost: evil.example\r\n\r\n",
            "400",
        ),
        (
            "authority-form",
            "CONNECT localhost:80 HTTP/1.1\r\nhost: localhost:80\r\n\r\n",
            "400",
        ),
        (
            "asterisk-form",
            "OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n",
            "400",
        ),
        (
            "a folded header",
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a: 1\r\n 2\r\n\r\n",
            "400",
        ),
        (
            "a space before the colon",
            "GET /healthz HTTP/1.1\r\nhost : localhost\r\n\r\n",
            "400",
        ),
        (
            "two lengths",
            "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
            "400",
        ),
        (
            "a length that is none",
            "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\n{}",
            "400",
        ),
        (
            "an encoding that does not end in chunked",
            "POST /graphql HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
            "400",
        ),
        (
            "another encoding before chunked",
            "POST /graphql HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, \
             chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "two headers of an encoding",
            "POST /graphql HTTP/1.1\r\nhost: x\r\ntransfer-encoding: \
             identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
    ] {
        let said = exchange(&server, head.as_bytes()).await;
        assert_eq!(status(&said), expected, "{what}: {said}");
        // What is an HTTP request has an id, refused or not.
        if said.contains("application/problem+json") {
            assert!(
                said.to_lowercase().contains("\r\nx-request-id: "),
                "{what}: {said}"
            );
        }
    }
    let named = "GET /healthz HTTP/1.1\r\nhost:\r\nx-request-id: mine-7\r\n\r\n";
    let said = exchange(&server, named.as_bytes()).await;
    assert!(said.contains("x-request-id: mine-7\r\n"), "{said}");
    let absolute =
        b"GET http://LocalHost/healthz?x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let said = exchange(&server, absolute).await;
    assert_eq!(status(&said), "200", "{said}");
    let old = exchange(&server, b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&old), "200", "{old}");
    answers(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_two_lengths_smuggles_no_other() {
    let base = Base::local().await;
    let server = server(&base, &[]).await;
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
    ] {
        let sent = format!(
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{lengths}\r\n\r\n\
             0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
        );
        let said = exchange(&server, sent.as_bytes()).await;
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
        assert_eq!(status(&said), "400", "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_not_answered() {
    let base = Base::local().await;
    let server = server(&base, &[]).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let said = exchange(&server, preface).await;
    assert!(!said.contains("\0\0"), "{said:?}");
    assert!(matches!(status(&said), "none" | "400"), "{said:?}");
    let upgrade = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, \
        http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    let said = exchange(&server, upgrade).await;
    assert_eq!(status(&said), "200", "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_are_too_large_are_refused() {
    let base = Base::local().await;
    let server = server(&base, &[]).await;
    let long = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n",
        "x".repeat(80 << 10)
    );
    let said = exchange(&server, long.as_bytes()).await;
    assert_eq!(status(&said), "431", "{said}");
    let many = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "x-a: 1\r\n".repeat(200)
    );
    let said = exchange(&server, many.as_bytes()).await;
    assert_eq!(status(&said), "431", "{said}");
    let announced = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n";
    let said = exchange(&server, announced.as_bytes()).await;
    assert_eq!(status(&said), "413", "{said}");
    assert!(said.contains("application/problem+json"), "{said}");
    let mut stream = connect(&server).await;
    stream
        .write_all(b"POST /graphql HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000)).into_bytes();
    for _ in 0..17 {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let (said, _) = end_of(stream).await;
    // A client that still sends may see a reset instead.
    assert!(matches!(status(&said), "413" | "none"), "{said}");
    answers(&server).await;
}
