//! Requests that are work before they are answered: bounded, and charged by their size.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::{HISTORY, serve_with};
use crate::support::base::Base;
use crate::support::client::{Answer, Client, key};
use crate::support::program::{Program, Running};

/// Few, of which two come back a second.
const FEW: u32 = 120;
const MANY: u32 = 6_000;

/// A server with a number of points a minute.
async fn server(base: &Base, points: u32) -> Running {
    let points = points.to_string();
    let program = Program::on(base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_SERVER__RATE_LIMIT_PER_MINUTE", &points)
        .with("MARKETLAKE_SERVER__MAX_BATCH", "10");
    serve_with(&program, base, HISTORY).await
}

fn left(answer: &Answer) -> u64 {
    let header = answer.header("ratelimit");
    let left = header.split("r=").nth(1).unwrap().split(';').next();
    left.unwrap().parse().unwrap()
}

fn selectors(count: usize, selector: &str) -> String {
    let all = std::iter::repeat_n(format!("match[]={selector}"), count);
    all.collect::<Vec<_>>().join("&")
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_are_bounded_together_and_each_is_charged() {
    let base = Base::local().await;
    let running = server(&base, FEW).await;
    let server = Client::of(&running);
    let before = left(&server.get("/prometheus/api/v1/labels").await);
    let answer = server
        .get(&format!(
            "/prometheus/api/v1/labels?{}",
            selectors(32, "price")
        ))
        .await;
    assert_eq!(
        answer.value()["data"],
        json!(["__name__", "market", "pair"])
    );
    let after = left(&answer);
    assert!(after + 32 <= before + 5, "{before} points, then {after}");
    for (query, expected) in [
        (
            selectors(2, &format!("price{{pair=\"{}\"}}", "x".repeat(6_000))),
            "match[]: expected at most 10000 bytes",
        ),
        (
            selectors(3, &format!("price{{{}}}", ["pair=~\"a\""; 11].join(","))),
            "match[]: expected at most 32 regular expressions, got 33",
        ),
    ] {
        let shown: String = query.chars().take(60).collect();
        let query = query.replace('"', "%22");
        let query = query.replace('{', "%7B").replace('}', "%7D");
        for path in ["series", "labels", "label/pair/values"] {
            let answer = server
                .send(
                    Method::GET,
                    &format!("/prometheus/api/v1/{path}?{query}"),
                    None,
                )
                .await;
            let said = answer.value();
            let error = said["error"].as_str().unwrap_or_default();
            assert!(error.contains(expected), "{path} {shown}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_label_name_is_not_repeated_for_each_series() {
    let base = Base::local().await;
    let running = server(&base, FEW).await;
    let server = Client::of(&running);
    for name in ["x".repeat(129), "a b".to_owned(), String::new()] {
        let query = format!("count_values(%22{name}%22,price)");
        let answer = server
            .get(&format!("/prometheus/api/v1/query?query={query}"))
            .await;
        let said = answer.value();
        let error = said["error"].as_str().unwrap_or_default();
        assert!(error.contains("a label's name"), "{name}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_documents_are_only_so_long_by_every_way_in_and_charged_by_their_length() {
    let base = Base::local().await;
    let running = server(&base, MANY).await;
    let server = Client::of(&running);
    let padded = |bytes: usize, with: &str| {
        let query = "{ metrics(first: 1) { nodes { id } } }";
        let times = bytes.saturating_sub(query.len()) / with.len();
        format!("{query}{}", with.repeat(times))
    };
    for with in [",", "# a comment\n", " ", "\u{feff}"] {
        let query = padded((64 << 10) + 40, with);
        let request = json!({"query": query});
        let answer = server
            .json(Method::POST, "/graphql", &request)
            .await
            .value();
        assert_too_long(&answer, with);
        let batch = json!([{"query": "{ __typename }"}, request]);
        let answer = server.json(Method::POST, "/graphql", &batch).await.value();
        assert_too_long(&answer[1], with);
        let parts = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json";
        for accept in ["text/event-stream", parts] {
            let streaming = server.with("accept", accept);
            let answer = streaming.json(Method::POST, "/graphql", &request).await;
            assert_too_long(&answer.value(), accept);
        }
    }
    let base = Base::local().await;
    let running = crate::http::request_cost::server(&base, FEW).await;
    let server = Client::of(&running);
    for body in [
        json!(vec![json!({"query": "{ __typename }"}); 5_000]),
        json!({"query": "{ __typename }", "other": vec![json!([]); 50_000]}),
        json!({"query": "{ __typename }", "extensions": {"other": vec![json!([]); 50_000]}}),
        json!({"query": "{ __typename }", "variables": {"other": vec![json!([]); 50_000]}}),
    ] {
        let before = left(&server.get("/v1/metrics").await);
        let answer = server.json(Method::POST, "/graphql", &body).await;
        // A point each 16 KiB: 8 or more; two come back a second.
        assert!(left(&answer) + 8 <= before + 3, "{}", answer.text());
    }
    let remaining = |answer: &Value| answer["extensions"]["cost"]["remaining"].as_u64().unwrap();
    let before = remaining(&server.graphql("{ __typename }").await);
    let answer = server.graphql(&padded(60 << 10, ",")).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let after = remaining(&answer);
    // A point each 4 KiB.
    assert!(after + 14 <= before + 3, "{before} points, then {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_charged_and_show_prices_only_to_those_who_may_read() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_AUTH__ANONYMOUS", "none");
    let reader = key(&program, "read").await;
    let running = serve_with(&program, &base, HISTORY).await;
    let server = Client::of(&running);
    let preview = "/subscribe?metric=hottry&factor=3&window=60";
    let refused = server.send(Method::GET, preview, None).await;
    assert_eq!(refused.status.as_u16(), 403, "{}", refused.text());
    let shown = "would have sent in the last";
    assert!(!refused.text().contains(shown), "{}", refused.text());
    let answer = server.with_key(&reader).get(preview).await;
    assert!(answer.text().contains(shown), "{}", answer.text());
    assert!(left(&answer) < 6_000);
    for path in ["/subscribe", "/manage", "/confirm/x", "/unsubscribe/x"] {
        let answer = server.send(Method::GET, path, None).await;
        assert!(left(&answer) < 6_000, "{path}");
    }
    let bounce = server.send(Method::POST, "/bounces", Some("{}".into()));
    assert!(left(&bounce.await) < 6_000);
}

fn assert_too_long(answer: &Value, what: &str) {
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "TOO_COMPLEX", "{what}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("query: expected at most 65536 bytes, got "),
        "{what}: {message}"
    );
}
