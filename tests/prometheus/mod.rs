//! Prometheus' API, as Grafana and promtool use it. `recorded.json` holds the responses of a real
//! Prometheus about the same samples (`record.py`).

use std::fmt::Write;

use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::{HISTORY, serve};
use crate::support::base::{Base, on_both};
use crate::support::client::Client;

fn recorded() -> Value {
    serde_json::from_str(include_str!("recorded.json")).unwrap()
}

fn history(recorded: &Value) -> String {
    let mut history = "metric,ts,value\n".to_owned();
    for sample in recorded["samples"].as_array().unwrap() {
        let ts = chrono::DateTime::from_timestamp(sample[1].as_i64().unwrap(), 0).unwrap();
        let (metric, value) = (sample[0].as_str().unwrap(), sample[2].as_str().unwrap());
        writeln!(
            history,
            "{metric},{},{value}",
            ts.format("%Y-%m-%dT%H:%M:%SZ")
        )
        .unwrap();
    }
    history
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Elements by their labels: a vector has no order but after sort.
fn by_labels(result: &Value) -> Vec<&Value> {
    let mut elements: Vec<&Value> = result.as_array().unwrap().iter().collect();
    elements.sort_by_key(|element| element["metric"].to_string());
    elements
}

fn same_sample(a: &Value, b: &Value) -> bool {
    let number = |text: &Value| -> f64 { text.as_str().unwrap().parse().unwrap() };
    let (x, y) = (number(&a[1]), number(&b[1]));
    let is_near = (x - y).abs() <= 1e-9 * y.abs().max(1e-6);
    a[0].as_f64() == b[0].as_f64() && (x == y || is_near || (x.is_nan() && y.is_nan()))
}

fn compare(expression: &str, ours: &Value, theirs: &Value) {
    assert_eq!(ours["resultType"], theirs["resultType"], "{expression}");
    let context = || format!("{expression}\nours: {ours}\ntheirs: {theirs}");
    if theirs["resultType"] == "scalar" {
        assert!(
            same_sample(&ours["result"], &theirs["result"]),
            "{}",
            context()
        );
        return;
    }
    let (a, b) = (by_labels(&ours["result"]), by_labels(&theirs["result"]));
    assert_eq!(a.len(), b.len(), "{}", context());
    for (a, b) in a.into_iter().zip(b) {
        assert_eq!(a["metric"], b["metric"], "{}", context());
        let samples = |element: &Value| match element.get("values") {
            Some(values) => values.as_array().unwrap().clone(),
            None => vec![element["value"].clone()],
        };
        let (a, b) = (samples(a), samples(b));
        assert_eq!(a.len(), b.len(), "{}", context());
        assert!(
            a.iter().zip(&b).all(|(a, b)| same_sample(a, b)),
            "{}",
            context()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_equal_those_of_prometheus_on_the_same_samples() {
    let recorded = recorded();
    let history = history(&recorded);
    on_both(async |base: Base| {
        let server = serve(&base, &history).await;
        let expressions = recorded["recorded"].as_array().unwrap();
        assert!(expressions.len() >= 50);
        for one in expressions {
            let expression = one["expression"].as_str().unwrap();
            let query = encoded(expression);
            let path = format!(
                "/prometheus/api/v1/query?query={query}&time={}",
                recorded["time"]
            );
            let instant = server.json(&path).await;
            assert_eq!(instant["status"], "success", "{expression}: {instant}");
            compare(expression, &instant["data"], &one["instant"]);
            let path = format!(
                "/prometheus/api/v1/query_range?query={query}&start={}&end={}&step={}",
                recorded["start"], recorded["end"], recorded["step"]
            );
            let span = server.json(&path).await;
            compare(expression, &span["data"], &one["range"]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_finds_names_labels_and_values() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let data =
        async |path: &str| server.json(&format!("/prometheus/api/v1/{path}")).await["data"].clone();
    assert_eq!(data("labels").await, json!(["__name__", "market", "pair"]));
    assert_eq!(
        data("label/__name__/values").await,
        json!(["price", "volume"])
    );
    assert_eq!(
        data("label/pair/values?match[]=price{market=\"binance\"}").await,
        json!(["hottry", "single"])
    );
    assert_eq!(
        data("series?match[]=volume").await,
        json!([{"__name__": "volume", "market": "binance", "pair": "hottry"}])
    );
    let later = "series?match[]=price&start=2026-11-24T10:03:00Z&end=2026-11-24T11:00:00Z";
    assert_eq!(data(later).await.as_array().unwrap().len(), 1);
    assert_eq!(
        data("metadata?metric=price").await["price"][0]["type"],
        "gauge"
    );
    assert_eq!(data("status/buildinfo").await["version"], "3.0.0");
    // Grafana posts forms.
    let form = Client::of(&server).with("content-type", "application/x-www-form-urlencoded");
    let body =
        "query=price%7Bpair%3D%22hottry%22%2Cmarket%3D%22binance%22%7D&time=2026-11-24T10:01:00Z";
    let path = "/prometheus/api/v1/query";
    let posted = form
        .send(Method::POST, path, Some(body.to_owned()))
        .await
        .value();
    assert_eq!(posted["data"]["result"][0]["value"][1], "0.0608");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_covered_or_wrong_is_said() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let nested = format!("query={}1{}", "(".repeat(10_000), ")".repeat(10_000));
    for (path, status, message) in [
        (
            "query?query=rate(price[5m])",
            400,
            "the function rate is not supported",
        ),
        (
            "query?query=histogram_quantile(0.9,price)",
            400,
            "is not supported",
        ),
        ("query", 400, "query: expected one, got none"),
        ("query?query=price[", 400, "query:"),
        (
            "query?query=price&time=noon",
            400,
            "time: expected seconds since 1970",
        ),
        (
            "query_range?query=price&start=0&end=10&step=0",
            400,
            "step: expected seconds above zero",
        ),
        (
            "query_range?query=price&start=0&end=10&step=-1",
            400,
            "step: expected seconds above zero",
        ),
        (
            "query_range?query=price&start=10&end=0&step=1",
            400,
            "end: expected",
        ),
        (
            "query_range?query=price&start=0&end=100000&step=1",
            400,
            "at most 11000 points",
        ),
        (
            "query_range?query=price&start=0&end=1e300&step=1",
            400,
            "end: expected seconds",
        ),
        (
            "query?query=count_over_time(price[1000y])",
            422,
            "samples to be read",
        ),
        ("series", 400, "match[]: expected one selector"),
        ("series?match[]=1%2B1", 400, "match[]: expected a selector"),
        (
            "query?time=2026-11-24T10:02:00Z&query=price%20%2B%20on(pair)%20price",
            422,
            "several elements",
        ),
        (nested.as_str(), 404, ""),
    ] {
        let path = match status {
            404 => format!("/prometheus/api/v1/query?{path}"),
            _ => format!("/prometheus/api/v1/{path}"),
        };
        let answer = server.get(&path).await;
        if status == 404 {
            assert!(answer.status.is_client_error(), "{answer:?}");
            continue;
        }
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        let body = answer.value();
        assert_eq!(body["status"], "error");
        assert!(
            body["error"].as_str().unwrap().contains(message),
            "{path}: {body}"
        );
    }
}
