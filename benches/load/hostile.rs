//! Clients that send what ended, filled or blocked a server before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::socket;
use crate::verdict::Counters;

/// Between two attacks of one client.
const ATTACK_INTERVAL: Duration = Duration::from_millis(500);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_READ_BYTES: usize = 4 << 20;

/// Sends one attack after the other, each on a connection of its own.
pub async fn run(number: usize, to: SocketAddr, counters: Arc<Counters>, stop: CancellationToken) {
    let attacks = attacks();
    let endless = async {
        for turn in number.. {
            let bytes = &attacks[turn % attacks.len()];
            if let Ok(stream) = socket::connect(socket::address(30, number * 10), to).await {
                let answer = socket::exchange(stream, bytes, MAX_READ_BYTES, ANSWER_TIMEOUT).await;
                let status = answer.ok().flatten();
                counters.add(match status {
                    Some(500) => &counters.hostile_500,
                    Some(_) => &counters.hostile_answered,
                    None => &counters.hostile_unanswered,
                });
            } else {
                counters.add(&counters.hostile_refused);
            }
            tokio::time::sleep(ATTACK_INTERVAL).await;
        }
    };
    tokio::select! {
        () = endless => (),
        () = stop.cancelled() => (),
    }
}

fn attacks() -> Vec<Vec<u8>> {
    let chain = format!("1{}", "%2B1".repeat(2_000));
    let parens = format!("{}1{}", "(".repeat(4_000), ")".repeat(4_000));
    let interfaces = "possibleTypes{interfaces{".repeat(8);
    let ends = "}".repeat(16);
    let introspection = format!("{{__type(name:\"Node\"){{{interfaces}name{ends}}}}}");
    let aliases: String = (0..2_000)
        .map(|n| format!("a{n}:lake{{samples}} "))
        .collect();
    let nested = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let selectors = vec!["match[]=%7Bpair%3D~%22(a%7Cb%7Ch).*%22%7D"; 32].join("&");
    let commas = format!("{{__typename}}{}", ",".repeat(60_000));
    let heavy = "quantile_over_time(0.9,price[1h:1s])%2Bstddev_over_time(price[1h:1s])";
    let token = "eyJhbGciOiJSUzI1NiIsImtpZCI6InVua25vd24ifQ.e30.AAAA";
    vec![
        get(&format!("/prometheus/api/v1/query?query={chain}"), ""),
        get(&format!("/prometheus/api/v1/query?query={parens}"), ""),
        post(&format!("{{\"query\":{}}}", quoted(&introspection)), ""),
        post(
            &format!("{{\"query\":{}}}", quoted(&format!("{{{aliases}}}"))),
            "",
        ),
        post(
            &format!("{{\"query\":\"{{lake{{samples}}}}\",\"variables\":{nested}}}"),
            "",
        ),
        post(&"x".repeat(3 << 20), ""),
        get(&format!("/prometheus/api/v1/series?{selectors}"), ""),
        post(&format!("{{\"query\":{}}}", quoted(&commas)), ""),
        get(&format!("/prometheus/api/v1/query?query={heavy}"), ""),
        get("/v1/metrics", &format!("Authorization: Bearer {token}\r\n")),
        get(
            "/v1/metrics",
            &format!("Authorization: Bearer {}\r\n", "a".repeat(60_000)),
        ),
        get(
            "/v1/metrics",
            "X-Forwarded-For: 127.0.0.1\r\nX-Api-Key: wrong\r\n",
        ),
        get("/v1/metrics?limit=99999999999999999999&cursor=%ff", ""),
        get("/v1/metric/%2e%2e%2f%00/rank", ""),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\
          Content-Length: 4\r\n\r\nffffffffffffffff\r\n"
            .to_vec(),
        [0x16, 0x03, 0x01, 0x02, 0x00, 0x01].to_vec(),
        format!(
            "GET /{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            "a".repeat(200_000)
        )
        .into_bytes(),
        upgrade(),
    ]
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}\r\n")
        .into_bytes()
}

fn post(body: &str, headers: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// A WebSocket whose first frame claims 2^62 bytes.
fn upgrade() -> Vec<u8> {
    let mut bytes = b"GET /graphql/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        .to_vec();
    bytes.extend([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    bytes
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
