//! Requests that no client would send: a clear error soon, no 5xx, and a server as quick after as
//! before.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rest::{HISTORY, serve};
use crate::support::base::Base;
use crate::support::client::{Answer, Client};

/// Limit of the issue for a bad request, on a machine that runs other tests beside.
const SOON: Duration = Duration::from_secs(2);

/// Sends a request; the response must come soon, must not be a 5xx, and must be an error.
async fn refused(server: &Client, what: &str, body: String) -> String {
    let client = server.with("content-type", "application/json");
    let begun = Instant::now();
    let answer = client.send(Method::POST, "/graphql", Some(body)).await;
    let took = begun.elapsed();
    assert!(took < SOON, "{what} took {took:?}");
    assert!(!answer.status.is_server_error(), "{what}: {answer:?}");
    if answer.status.is_client_error() && answer.body.is_empty() {
        return answer.status.to_string();
    }
    let text = answer.text();
    assert!(
        answer.status.is_client_error() || text.contains("\"errors\""),
        "{what}: {text}"
    );
    text
}

fn query(text: impl Into<String>) -> String {
    json!({"query": text.into()}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_too_much_are_refused_soon() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let aliases: String = (0..1_000)
        .map(|n| format!("a{n}: lake {{ samples }} "))
        .collect();
    let deep = "{ metric(name: \"tie\") { rank { ".to_owned()
        + &"metric { rank { ".repeat(25)
        + "of"
        + &" } }".repeat(25)
        + " } } }";
    let spread: String = (0..30)
        .map(|n| format!("fragment F{n} on Query {{ ...F{0} ...F{0} }} ", n + 1))
        .collect();
    let circle = "query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
    let same = "{ lake { ".to_owned() + &"samples ".repeat(7_000) + "} }";
    for (what, text, message) in [
        (
            "1,000 aliases",
            format!("{{ {aliases} }}"),
            "at most 100 aliases, got 1000",
        ),
        ("50 levels", deep, "recursion depth of the query"),
        (
            "3,000 directives",
            "{ __typename ".to_owned() + &"@include(if: true) ".repeat(3_000) + "}",
            "at most 10000 tokens",
        ),
        (
            "100 directives",
            "{ __typename ".to_owned() + &"@include(if: true) ".repeat(100) + "}",
            "directives",
        ),
        (
            "fragments in a circle",
            circle.to_owned(),
            "contains itself",
        ),
        (
            "fragments that double",
            format!("query {{ ...F0 }} {spread} fragment F30 on Query {{ __typename }}"),
            "at most 5000 fields",
        ),
        (
            "the same field again and again",
            same,
            "at most 5000 fields",
        ),
        (
            "10,000 brackets",
            "{".repeat(9_000),
            "brackets at most 64 deep",
        ),
        (
            "brackets of values",
            format!("{{ metric(name: {}) {{ id }} }}", "[".repeat(5_000)),
            "brackets at most 64 deep",
        ),
        (
            "a 1 MB query",
            "{ ".to_owned() + &"a ".repeat(400_000) + "}",
            "at most 65536 bytes, got 800003",
        ),
        (
            "20,000 names",
            "{ ".to_owned() + &"a ".repeat(20_000) + "}",
            "at most 10000 tokens",
        ),
        (
            "huge integers",
            "{ metrics(first: 99999999999999999999) { nodes { id } } }".to_owned(),
            "first",
        ),
        (
            "an integer beyond 32 bits",
            "{ metrics(first: 2147483648) { nodes { id } } }".to_owned(),
            "Int",
        ),
        (
            "first: -1",
            "{ metrics(first: -1) { nodes { id } } }".to_owned(),
            "first: expected a number from 1 to 10000, got -1",
        ),
        (
            "first and last",
            "{ metrics(first: 1, last: 1) { nodes { id } } }".to_owned(),
            "last: expected either first or last",
        ),
        (
            "100,000 rows",
            "{ metrics(first: 100000) { nodes { id } } }".to_owned(),
            "too complex",
        ),
        (
            "a cut cursor",
            r#"{ metrics(after: "a2") { nodes { id } } }"#.to_owned(),
            "after",
        ),
        (
            "a forged cursor",
            r#"{ ranking(after: "bm9wZQ") { nodes { of } } }"#.to_owned(),
            "after: expected a cursor of this list",
        ),
        (
            "a cursor of others",
            r#"{ segments(before: "bm9wZQ") { nodes { id } } }"#.to_owned(),
            "before: expected a cursor",
        ),
        (
            "NUL",
            "{ metric(name: \"\\u0000\") { id } }".to_owned(),
            "no metric",
        ),
        (
            "an unterminated string",
            "{ metric(name: \"".to_owned() + &"x".repeat(50_000),
            "query:",
        ),
    ] {
        let said = refused(&server, what, query(text)).await;
        assert!(
            said.to_lowercase().contains(&message.to_lowercase()),
            "{what}: {}",
            &said[..said.len().min(400)]
        );
    }
    let (most, names) = ("x".repeat((1 << 20) + 1), vec!["tie"; 100_000]);
    let said = refused(&server, "a body above 1 MiB", query(most)).await;
    assert!(said.contains("at most 1048576 bytes"), "{said}");
    let many = json!({"query": "query($m: [String!]!) { timeseries(metrics: $m) { values } }", "variables": {"m": names}});
    let said = refused(&server, "100,000 names", many.to_string()).await;
    assert!(
        said.contains("too complex") || said.contains("metrics: expected 1 to 100 names"),
        "{said}"
    );
    let nested = format!(
        r#"{{"query": "{{ __typename }}", "variables": {{"a": {}{}}}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert!(
        refused(&server, "variables 10,000 deep", nested)
            .await
            .contains("recursion limit")
    );
    assert!(server.graphql("{ __typename }").await["data"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_refused() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let raw = reqwest::Client::new();
    for bytes in [
        &b"\xff\xfe{}"[..],
        b"{\"query\": \"\xc3\x28\"}",
        b"\x00",
        b"",
    ] {
        let request = raw
            .post(server.url("/graphql"))
            .header("content-type", "application/json");
        let status = request.body(bytes.to_vec()).send().await.unwrap().status();
        assert_eq!(status.as_u16(), 400, "{bytes:?}");
    }
    for path in [
        "/v1/metric/%00/rank",
        "/v1/metric/%ff%fe/rank",
        "/v1/metrics?cursor=%00",
        "/v1/metrics?at=%ff",
        "/graphql?query=%ff",
        "/v1/metric/tie%2F..%2Fx/rank",
    ] {
        let answer = server.get(path).await;
        let is_error = answer.text().contains("\"errors\"");
        assert!(
            answer.status.is_client_error() || is_error,
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_injections_find_nothing() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let roots = [
        "'",
        "\"",
        "' or '1'='1",
        "'; drop table metrics; --",
        "\\",
        "%",
        "_",
        "*",
        "?",
        "[",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "$(id)",
        "`id`",
        "|id",
        ";id",
        "\r\nx: y",
        "\u{202e}",
    ];
    let shapes = [
        "{}",
        "hottry{}",
        "{}hottry",
        "binance:{}",
        "{}:hottry",
        "binance:hottry{}",
        "binance:hottry:{}",
        "{}{}",
        " {} ",
        "hottry' {} '",
    ];
    let mut tried = 0;
    for (root, shape) in roots
        .iter()
        .flat_map(|root| shapes.map(|shape| (*root, shape)))
    {
        let name = shape.replace("{}", root);
        tried += 1;
        let request = json!({
            "query": "query($n: String!) { metric(name: $n) { id } }",
            "variables": {"n": name},
        });
        let found: Value = server
            .json(Method::POST, "/graphql", &request)
            .await
            .value();
        assert_eq!(
            found["errors"][0]["extensions"]["code"], "UNKNOWN_METRIC",
            "{name}: {found}"
        );
        let encoded =
            percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
        let by_rest = server.get(&format!("/v1/metric/{encoded}/rank")).await;
        assert_eq!(by_rest.status.as_u16(), 404, "{name}");
        let pattern = json!({
            "query": "query($m: String!) { backtest(input: {metric: $m}, days: 1) { userErrors { \
                field } backtest { metrics } } }",
            "variables": {"m": name},
        });
        let tested: Answer = server.json(Method::POST, "/graphql", &pattern).await;
        let tested = tested.value();
        // A star is a pattern; all else means no metric, or is none.
        let is_pattern = name.contains('*');
        assert!(
            is_pattern || tested["data"]["backtest"]["userErrors"][0]["field"] == "metric",
            "{name}: {tested}"
        );
        assert!(tested.get("errors").is_none(), "{name}: {tested}");
    }
    assert_eq!(tried, 200);
    let all = server.graphql("{ metrics { nodes { id } } }").await;
    assert_eq!(all["data"]["metrics"]["nodes"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_hold_up_nobody() {
    let base = Base::local().await;
    let running = serve(&base, HISTORY).await;
    let server = Client::of(&running);
    let address = running.url("").trim_start_matches("http://").to_owned();
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream
            .write_all(
                b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: \
            application/json\r\ncontent-length: 1000\r\n\r\n{",
            )
            .await
            .unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    assert!(server.graphql("{ __typename }").await["data"].is_object());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    drop(slow.pop());
    let mut one = slow.pop().unwrap();
    one.shutdown().await.unwrap();
    let mut said = Vec::new();
    let _ = one.read_to_end(&mut said).await;
    assert!(
        !String::from_utf8_lossy(&said).contains(" 500 "),
        "{said:?}"
    );
}
