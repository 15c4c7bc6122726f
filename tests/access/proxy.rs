//! Behind Debian's nginx.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use marketlake_entities::records::subscriptions;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::operators_only;
use crate::rest::{HISTORY, serve, serve_with};
use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::nginx::Nginx;
use crate::support::program::{Program, Running};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_through_a_plain_proxy_pass_is_a_mere_anonymous() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let site = format!(
        "server {{ listen 127.0.0.1:PORT; location / {{ proxy_pass {}; }} }}",
        server.url("")
    );
    let nginx = Nginx::start(tempfile::tempdir().unwrap(), &site).await;
    let visitor = Client::at(&nginx.url(""));
    assert_eq!(visitor.get("/v1/metrics").await.status.as_u16(), 200);
    assert_eq!(operators_only(&visitor).await, "UNAUTHENTICATED");
    let operator = visitor.with_key(&server.operator_key());
    let create = r#"mutation { createSubscription(input: {metric: "tie", address: "a@example.com"}) { subscription { id } } }"#;
    let made = operator.graphql(create).await;
    let id = &made["data"]["createSubscription"]["subscription"]["id"];
    let stop = r#"mutation { stopDeliveries(input: {reason: "x"}) { userErrors { code } } }"#;
    let delete = format!(
        "mutation {{ deleteSubscription(input: {{id: {id}}}) {{ userErrors {{ code }} }} }}"
    );
    for mutation in [stop, &delete] {
        let answer = visitor.graphql(mutation).await.to_string();
        assert!(answer.contains("UNAUTHENTICATED"), "{answer}");
    }
    let listed = visitor
        .graphql("{ subscriptions { id } deliveries { id } }")
        .await;
    assert_eq!(listed["data"], Value::Null);
    assert_eq!(visitor.get("/metrics").await.status.as_u16(), 404);
    let kept = operator
        .graphql("{ subscriptions { id } deliveryThrottles { name } }")
        .await;
    assert_eq!(
        kept["data"],
        json!({"subscriptions": [{"id": id}], "deliveryThrottles": []})
    );
    assert_eq!(operators_only(&operator).await, Value::Null);
}

/// The nginx block of the documentation, with a port, a certificate and a server of the test's.
fn documented(server: &Running) -> String {
    let text = include_str!("../../docs/reverse-proxy.md");
    let block = text
        .split("```nginx\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let address = server.url("").trim_start_matches("http://").to_owned();
    let live = "/etc/letsencrypt/live/lake.example.com";
    [
        ("listen 80;", "listen unix:FOLDER/plain;"),
        ("listen 443 ssl http2;", "listen 127.0.0.1:PORT ssl http2;"),
        (&format!("{live}/fullchain.pem"), "FOLDER/certificate.pem"),
        (&format!("{live}/privkey.pem"), "FOLDER/key.pem"),
        ("server 127.0.0.1:8080;", &format!("server {address};")),
    ]
    .into_iter()
    .fold(block.to_owned(), |block, (documented, own)| {
        assert!(block.contains(documented), "{documented}");
        block.replace(documented, own)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_nginx_serves_all_and_hides_what_clients_say_of_themselves() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_SERVER__PUBLIC_URL", "https://lake.example.com")
        .with("MARKETLAKE_SERVER__TRUSTED_PROXIES", "1");
    let server = serve_with(&program, &base, HISTORY).await;
    let signed = rcgen::generate_simple_self_signed(["lake.example.com".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("certificate.pem"), signed.cert.pem()).unwrap();
    std::fs::write(
        folder.path().join("key.pem"),
        signed.signing_key.serialize_pem(),
    )
    .unwrap();
    let nginx = Nginx::start(folder, &documented(&server)).await;
    let there = SocketAddr::from(([127, 0, 0, 1], nginx.port));
    let trusted = reqwest::Certificate::from_pem(signed.cert.pem().as_bytes()).unwrap();
    let from = |address: [u8; 4]| {
        reqwest::Client::builder()
            .add_root_certificate(trusted.clone())
            .resolve("lake.example.com", there)
            .local_address(IpAddr::from(address))
            .build()
            .unwrap()
    };
    let url = |path: &str| format!("https://lake.example.com:{}{path}", nginx.port);
    let http = from([127, 0, 0, 9]);
    for (path, expected) in [("/readyz", 200), ("/v1/metrics", 200), ("/metrics", 404)] {
        let answer = http.get(url(path)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{path}");
        let lasts = answer.headers().contains_key("strict-transport-security");
        assert!(lasts, "{path}");
    }
    let post = |http: &reqwest::Client, query: &str| {
        let body = json!({"query": query}).to_string();
        let request = http.post(url("/graphql")).body(body);
        request.header("content-type", "application/json")
    };
    // The address that counts is the one that nginx saw, whatever the client says.
    let create = r#"mutation { createSubscription(input: {metric: "tie", address: "a@example.com"}) { userErrors { code } } }"#;
    for (address, expected) in [
        ([127, 0, 0, 9], "127.0.0.9"),
        ([127, 0, 0, 10], "127.0.0.10"),
    ] {
        let request = post(&from(address), create)
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-for", "7.7.7.7:80")
            .header("forwarded", "for=6.6.6.6")
            .header("via", "1.1 mine")
            .header("x-real-ip", "6.6.6.6");
        assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
        let rows = subscriptions::Entity::find()
            .all(&base.database().await)
            .await;
        let sources: Vec<_> = rows
            .unwrap()
            .into_iter()
            .filter_map(|row| row.source)
            .collect();
        assert!(sources.contains(&expected.to_owned()), "{sources:?}");
        assert!(
            sources.iter().all(|source| source.starts_with("127.")),
            "{sources:?}"
        );
    }
    // Its own forms come from its public origin; those of other pages are refused.
    for (origin, expected) in [
        ("https://lake.example.com", 200),
        ("https://evil.example", 403),
    ] {
        let form = http.post(url("/subscribe")).header("origin", origin);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let form = form.body("metric=tie&address=b%40example.com");
        assert_eq!(
            form.send().await.unwrap().status().as_u16(),
            expected,
            "{origin}"
        );
    }
    // Events pass as they come.
    let live = "subscription { slots { timestamp } }";
    let events = post(&http, live).header("accept", "text/event-stream");
    let mut events = events.send().await.unwrap();
    let first = timeout(SOON, events.chunk())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&first).contains("10:03:00Z"),
        "{first:?}"
    );
    // So does a WebSocket.
    let mut roots = RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(there).await.unwrap();
    let name = "lake.example.com".try_into().unwrap();
    let stream = TlsConnector::from(Arc::new(tls))
        .connect(name, stream)
        .await
        .unwrap();
    let mut request = url("/graphql/ws")
        .replace("https", "wss")
        .into_client_request()
        .unwrap();
    let protocol = "graphql-transport-ws".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    request
        .headers_mut()
        .insert("origin", "https://lake.example.com".parse().unwrap());
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    for message in [
        json!({"type": "connection_init"}),
        json!({"type": "subscribe", "id": "1", "payload": {"query": live}}),
    ] {
        socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }
    let mut heard = String::new();
    while !heard.contains("10:03:00Z") {
        let message = timeout(SOON, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        heard += message.to_text().unwrap();
    }
}
