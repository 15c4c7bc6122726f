//! Input nested deeper or longer than a parser's stack bears is refused with an error by a process
//! that lives on.

use reqwest::Method;
use serde_json::{Value, json};

use super::server;
use crate::support::base::Base;
use crate::support::client::Client;

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

async fn promql(server: &Client, query: &str) -> (u16, Value) {
    let path = format!("/prometheus/api/v1/query?query={}", encoded(query));
    let answer = server.get(&path).await;
    (answer.status.as_u16(), answer.value())
}

#[tokio::test(flavor = "multi_thread")]
async fn promql_expressions_are_as_deep_as_they_may_be_and_no_deeper() {
    let base = Base::local().await;
    let server = Client::owning(server(&base, &[]).await);
    // At the bounds all is computed.
    for (query, expected) in [
        (format!("1{}", "+1".repeat(200)), "201"),
        (format!("{}1", "-".repeat(200)), "1"),
        (format!("1{}", "^1".repeat(200)), "1"),
        (format!("{}1{}", "(".repeat(64), ")".repeat(64)), "1"),
        (
            format!(
                "{}1{}{}",
                "(".repeat(64),
                "+1)".repeat(64),
                "*1".repeat(136)
            ),
            "65",
        ),
    ] {
        let (status, answer) = promql(&server, &query).await;
        assert_eq!(status, 200, "{query}: {answer}");
        assert_eq!(answer["data"]["result"][1], expected, "{query}");
    }
    let chain = |operator: &str| format!("price{}", format!(" {operator} price").repeat(200));
    let vectors = [chain("or"), chain("and"), chain("+ on (market, pair)")];
    let nested = format!("{}price{}", "abs(".repeat(64), ")".repeat(64));
    for query in vectors.iter().chain([&nested]) {
        let (status, answer) = promql(&server, query).await;
        assert_eq!(status, 200, "{query}: {answer}");
    }
    for (query, message) in [
        (
            format!("1{}", "+1".repeat(201)),
            "at most 200 operators, got 201",
        ),
        (format!("1{}", "+1".repeat(1_000)), "at most 200 operators"),
        (format!("1{}", "^1".repeat(4_000)), "at most 200 operators"),
        (format!("{}1", "-".repeat(9_000)), "at most 200 operators"),
        (format!("{}1", "+ -".repeat(3_000)), "at most 200 operators"),
        (
            format!("price{}", " or price".repeat(1_000)),
            "at most 200 operators",
        ),
        (
            format!("price{}", "\nunless price".repeat(700)),
            "at most 200 operators",
        ),
        (
            format!("price{}", " == bool price".repeat(600)),
            "at most 200 operators",
        ),
        (
            format!("{}1{}", "(".repeat(65), ")".repeat(65)),
            "at most 64 levels of brackets, got 65",
        ),
        (
            format!("{}price{}", "sum(".repeat(2_000), ")".repeat(1_000)),
            "query",
        ),
        // Quotes of other kinds hide no brackets.
        (
            format!(
                "price{{pair='\"'}} + {}1{}",
                "(".repeat(4_000),
                ")".repeat(4_000)
            ),
            "at most 64 levels of brackets",
        ),
        (
            format!(
                "price{{pair=`\"`}} + {}1{}",
                "(".repeat(4_000),
                ")".repeat(4_000)
            ),
            "at most 64 levels of brackets",
        ),
        (
            format!("price # \"\n + {}1{}", "(".repeat(4_000), ")".repeat(4_000)),
            "at most 64 levels of brackets",
        ),
        (format!("price{}", "[5m:1m]".repeat(1_000)), "query"),
        (format!("price{}", " offset 5m".repeat(900)), "query"),
        (format!("{}\"", "x".repeat(9_999)), "query"),
        ("x".repeat(10_001), "at most 10000 bytes"),
        (
            format!("price{{{}}}", "pair=~\"a\",".repeat(33)),
            "at most 32 regular expressions, got 33",
        ),
        (
            "price{pair=~\"(\\\\pL{200}){200}\"}".to_owned(),
            "a smaller regular expression",
        ),
        (
            "label_replace(price, \"a\", \"\", \"pair\", \"(\\\\pL{200}){200}\")".to_owned(),
            "not too large",
        ),
        (
            // Each doubles the label's value.
            format!(
                "{}vector(1), \"a\", \"0123456789abcdef\", \"\", \"\"){}",
                "label_replace(".repeat(41),
                ", \"a\", \"$1$1\", \"a\", \"(.*)\")".repeat(40)
            ),
            "a label's value of at most 4096 bytes",
        ),
    ] {
        let shown: String = query.chars().take(60).collect();
        let (status, answer) = promql(&server, &query).await;
        assert!(status == 400 || status == 422, "{shown}: {answer}");
        let said = answer["error"].as_str().unwrap();
        assert!(said.contains(message), "{shown}: {said}");
    }
    let (status, _) = promql(&server, "1+1").await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_documents_and_variables_go_only_so_deep() {
    let base = Base::local().await;
    let server = Client::owning(server(&base, &[]).await);
    let lists = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{a:".repeat(depth), "}".repeat(depth));
    let chain: String = (0..900)
        .map(|n| format!("fragment F{n} on Query{{...F{}}}", n + 1))
        .collect();
    for query in [
        format!("{{ metric(name: {}) {{ id }} }}", lists(5_000)),
        format!("{{ metric(name: {}) {{ id }} }}", lists(60)),
        format!(
            "{{ backtest(input: {}) {{ userErrors {{ code }} }} }}",
            objects(3_000)
        ),
        format!(
            "{{ backtest(input: {}) {{ userErrors {{ code }} }} }}",
            objects(50)
        ),
        format!(
            "query($x: {}Int{}) {{ __typename }}",
            "[".repeat(4_000),
            "]".repeat(4_000)
        ),
        format!(
            "query($x: {}Int{}) {{ __typename }}",
            "[".repeat(60),
            "]".repeat(60)
        ),
        format!("query($x: Int = {}) {{ __typename }}", lists(4_000)),
        format!("{{ __typename @include(if: {}) }}", lists(4_000)),
        format!("{{ {} {} }}", "... {".repeat(4_000), "}".repeat(4_000)),
        format!("{{ {} __typename {} }}", "... {".repeat(60), "}".repeat(60)),
        format!("{{ ...F0 }} {chain} fragment F900 on Query {{ __typename }}"),
    ] {
        let shown: String = query.chars().take(60).collect();
        let answer = server
            .json(Method::POST, "/graphql", &json!({"query": query}))
            .await;
        assert!(answer.text().contains("\"errors\""), "{shown}: {answer:?}");
    }
    for depth in [100, 120, 130, 100_000] {
        for value in [
            lists(depth),
            format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)),
        ] {
            for place in ["variables", "extensions"] {
                let body = format!(
                    "{{\"query\": \"query($m: [String!]!) {{ latest(metrics: $m) {{ sample {{ \
                     value }} }} }}\", \"{place}\": {{\"m\": {value}}}}}"
                );
                let client = server.with("content-type", "application/json");
                let answer = client.send(Method::POST, "/graphql", Some(body)).await;
                assert!(answer.text().contains("\"errors\""), "{place} {depth}");
            }
        }
    }
    assert!(server.graphql("{ __typename }").await["data"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_all_kinds_go_only_so_deep() {
    let base = Base::local().await;
    let server = Client::owning(server(&base, &[]).await);
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(50_000), close.repeat(50_000));
    let json = server.with("content-type", "application/json");
    for body in [
        deep("[", "]"),
        deep("{\"metric\":", "}"),
        format!("{{\"metric\":{}", deep("[", "]}")),
        "[".repeat(1_000_000),
    ] {
        for (method, path) in [
            (Method::POST, "/v1/subscriptions"),
            (Method::PUT, "/v1/subscriptions/x"),
            (Method::PATCH, "/v1/subscriptions/x"),
            (Method::POST, "/graphql"),
            (Method::POST, "/bounces"),
        ] {
            let answer = json.send(method.clone(), path, Some(body.clone())).await;
            let status = answer.status;
            assert!(status.is_client_error(), "{method} {path}: {status}");
        }
    }
    let parts: String = (0..20_000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .collect();
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(20_000);
    let encoded =
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n".repeat(10_000);
    let comments = format!(
        "To: {}x{}\r\n\r\nx",
        "(".repeat(200_000),
        ")".repeat(200_000)
    );
    let groups = format!("To: {}\r\n\r\nx", "a:".repeat(200_000));
    let mail = server.with("content-type", "message/rfc822");
    for body in [parts, messages, encoded, comments, groups] {
        let shown: String = body.chars().take(40).collect();
        let answer = mail.send(Method::POST, "/bounces", Some(body)).await;
        assert!(answer.status.is_client_error(), "{shown}: {answer:?}");
    }
    let part = |text: &str| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
    };
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let token = format!("{}.{}.x", part(&nested), part(&nested));
    let answer = server.with_key(&token).get("/v1/metrics").await;
    assert_eq!(answer.status.as_u16(), 401, "{answer:?}");
    assert_eq!(server.get("/healthz").await.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_of_many_stars_are_matched_at_once() {
    let base = Base::local().await;
    let server = Client::owning(server(&base, &[]).await);
    let pattern = format!("{}b", "*a".repeat(90));
    let patterns = [pattern.as_str(); 10].join(",");
    let body = json!({
        "query": "query($m: String!) { backtest(input: {metric: $m}, days: 1) { userErrors { \
            message } } }",
        "variables": {"m": patterns},
    });
    let begun = std::time::Instant::now();
    let answer = server.json(Method::POST, "/graphql", &body).await;
    assert!(begun.elapsed() < super::SOON, "{answer:?}");
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_names_has_only_so_many_selectors() {
    let base = Base::local().await;
    let server = Client::owning(server(&base, &[]).await);
    let many = vec!["match[]=price"; 1_000].join("&");
    for route in ["series", "labels", "label/pair/values"] {
        let answer = server
            .get(&format!("/prometheus/api/v1/{route}?{many}"))
            .await;
        assert_eq!(answer.status.as_u16(), 400, "{route}");
        assert!(
            answer
                .text()
                .contains("expected at most 32 selectors, got 1000"),
            "{route}"
        );
    }
}
