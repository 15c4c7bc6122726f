//! Hosts and origins: a page whose name was made to lead here, and pages of other sites.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rest::{HISTORY, serve, serve_with};
use crate::support::base::Base;
use crate::support::client::{Client, key};
use crate::support::program::{Program, Running};

/// The status of an answer to a request as it is written here; 0 where there is no answer.
async fn status(server: &Running, request: &str) -> u16 {
    let address = server.url("").trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = request.replace("ADDRESS", &address).replace('\n', "\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_answers_on_its_own_machine_s_names_only() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    for (expected, head) in [
        (200, "GET /v1/metrics HTTP/1.1\nhost: ADDRESS"),
        (200, "GET /v1/metrics HTTP/1.1\nhost: LocalHost:1"),
        (200, "GET /v1/metrics HTTP/1.1\nhost: [::1]:8080"),
        (200, "GET http://ADDRESS/v1/metrics HTTP/1.1\nhost: ADDRESS"),
        (421, "GET /v1/metrics HTTP/1.1\nhost: evil.example"),
        (421, "GET /v1/metrics HTTP/1.1\nhost: evil.example:80"),
        (
            421,
            "GET /v1/metrics HTTP/1.1\nhost: 127.0.0.1.evil.example",
        ),
        (421, "GET /v1/metrics HTTP/1.1\nhost: 203.0.113.7"),
        (400, "GET /v1/metrics HTTP/1.1"),
        (400, "GET /v1/metrics HTTP/1.0"),
        (400, "GET /v1/metrics HTTP/1.1\nhost:"),
        (
            400,
            "GET /v1/metrics HTTP/1.1\nhost: ADDRESS\nhost: evil.example",
        ),
        (
            400,
            "GET /v1/metrics HTTP/1.1\nhost: evil.example\nhost: ADDRESS",
        ),
        (400, "GET /v1/metrics HTTP/1.1\nhost: ADDRESS@evil.example"),
        (400, "GET /v1/metrics HTTP/1.1\nhost: evil.example@ADDRESS"),
        (
            400,
            "GET http://evil.example/v1/metrics HTTP/1.1\nhost: ADDRESS",
        ),
        (
            400,
            "GET http://ADDRESS/v1/metrics HTTP/1.1\nhost: evil.example",
        ),
        (
            421,
            "GET http://evil.example/v1/metrics HTTP/1.1\nhost: evil.example",
        ),
    ] {
        let request = format!("{head}\nconnection: close\n\n");
        assert_eq!(status(&server, &request).await, expected, "{head}");
    }
}

/// A server, the headers that a browser sends, and whether it lets the request in.
type Case<'a> = (&'a Running, &'a [(&'a str, &'a str)], bool);

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_ask_for_no_subscription_and_open_no_socket() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_SERVER__PUBLIC_URL", "https://lake.example")
        .with(
            "MARKETLAKE_SERVER__CORS_ORIGINS",
            r#"["https://app.example"]"#,
        );
    let public = serve_with(&program, &base, HISTORY).await;
    let other = Base::local().await;
    let open = serve(&other, HISTORY).await;
    let own = open.url("");
    let cases: [Case<'_>; 15] = [
        (&open, &[], true),
        (&open, &[("origin", &own)], true),
        (
            &open,
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
            true,
        ),
        (&open, &[("origin", "null")], false),
        (&open, &[("origin", "https://evil.example")], false),
        (
            &open,
            &[
                ("origin", "https://evil.example"),
                ("sec-fetch-site", "cross-site"),
            ],
            false,
        ),
        (&open, &[("sec-fetch-site", "cross-site")], false),
        (&open, &[("origin", "http://127.0.0.1:1")], false),
        (
            &open,
            &[("origin", &own), ("sec-fetch-site", "same-site")],
            false,
        ),
        (&public, &[("origin", "https://lake.example")], true),
        (
            &public,
            &[
                ("origin", "https://app.example"),
                ("sec-fetch-site", "cross-site"),
            ],
            true,
        ),
        (
            &public,
            &[
                ("origin", "https://lake.example"),
                ("host", "127.0.0.1:8080"),
            ],
            true,
        ),
        (&public, &[("origin", "http://lake.example")], false),
        // Its name was made to lead here.
        (
            &public,
            &[("origin", "http://evil.example"), ("host", "evil.example")],
            false,
        ),
        (
            &public,
            &[("origin", "https://app.example.evil.example")],
            false,
        ),
    ];
    for (server, headers, is_allowed) in cases {
        let client = headers
            .iter()
            .fold(Client::of(server), |client, (name, value)| {
                client.with(name, value)
            });
        let form = client.with("content-type", "application/x-www-form-urlencoded");
        let body = "metric=tie&address=a%40example.com".to_owned();
        let response = form
            .send(reqwest::Method::POST, "/subscribe", Some(body))
            .await;
        let expected = if is_allowed { 200 } else { 403 };
        assert_eq!(response.status.as_u16(), expected, "{headers:?}");
        let socket = client
            .with("connection", "upgrade")
            .with("upgrade", "websocket")
            .with("sec-websocket-version", "13")
            .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .with("sec-websocket-protocol", "graphql-transport-ws");
        let expected = if is_allowed { 101 } else { 403 };
        let status = socket.status("/graphql/ws").await;
        assert_eq!(status, expected, "{headers:?}");
    }
    // Whoever has a key is no page in a visitor's name.
    let keyed = Client::of(&public)
        .with("origin", "https://evil.example")
        .with_key(&key(&program, "read").await);
    assert_ne!(keyed.graphql("{ __typename }").await["data"], Value::Null);
    // Links in mails lead from other sites to pages that are read.
    let link = Client::of(&public).with("sec-fetch-site", "cross-site");
    let page = link.get("/subscribe").await;
    assert_eq!(page.status.as_u16(), 200);
    assert_eq!(page.header("referrer-policy"), "same-origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_starts_on_loopback_alone() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[]");
    for (name, value) in [
        ("SERVER__LISTEN", "0.0.0.0:0"),
        ("SERVER__LISTEN", "[::]:0"),
        ("SERVER__LISTEN", "[::ffff:0.0.0.0]:0"),
        ("SERVER__TRUSTED_PROXIES", "1"),
        ("SERVER__PUBLIC_URL", "https://lake.example.com"),
        ("SERVER__PUBLIC_URL", "http://192.168.1.7:8080"),
        ("SERVER__PUBLIC_URL", "https://localhost.example.com"),
    ] {
        let program = program.clone().with(&format!("MARKETLAKE_{name}"), value);
        let said = program.run(&["up"]).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.err
                .contains("setting auth.mode = \"open\": expected \"keys\"")
                && said.err.contains("keys create"),
            "{said:?}"
        );
    }
    let here = program.with("MARKETLAKE_SERVER__PUBLIC_URL", "http://localhost:8080");
    let mut server = here.up(&["--role", "api"]).await;
    assert!(server.is_running());
}
