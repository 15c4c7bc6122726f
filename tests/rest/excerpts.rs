//! Errors show an excerpt of what was sent, however long that is.

use reqwest::Method;
use serde_json::{Value, json};

use super::{HISTORY, serve};
use crate::support::base::Base;
use crate::support::client::{Client, key};
use crate::support::program::Program;

/// Sent in place of each value; it fits into an address.
const LONG: usize = 5_000;
/// Maximum number of its characters that may come back in a row.
const MAX_ECHO: usize = 500;

fn long() -> String {
    "q".repeat(LONG)
}

fn assert_short(what: &str, text: &str) {
    let echo = "q".repeat(MAX_ECHO + 1);
    assert!(!text.contains(&echo), "{what}: {} bytes", text.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_over_http_echoes_a_long_value() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let own = Client::of(&server).with_key(&key(&Program::on(&base), "read,alerts").await);
    let long = long();
    for path in [
        "/v1/metric/{}/timeseries",
        "/v1/metric/{}/rank",
        "/v1/metrics/{}",
        "/v1/subscriptions/{}",
        "/v1/metrics?limit={}",
        "/v1/metrics?cursor={}",
        "/v1/metrics?at={}",
        "/v1/metrics?format={}",
        "/v1/metrics?{}=1",
        "/v1/ranking?statistic={}",
        "/v1/metric/hottry/timeseries?from={}",
        "/v1/metric/hottry/timeseries?interval={}",
        "/v1/metric/hottry/timeseries?aggregate={}",
        "/confirm/{}",
        "/nowhere/{}",
    ] {
        let answer = own.get(&path.replace("{}", &long)).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        assert_short(path, &answer.text());
    }
    let wanted = json!({"metric": "hottry", "address": "a@example.com"});
    for field in [
        "metric",
        "address",
        "channel",
        "endpoint",
        "factor",
        "timezone",
        "direction",
        "q",
    ] {
        let name = if field == "q" { long.as_str() } else { field };
        let mut body = wanted.clone();
        body[name] = Value::String(long.clone());
        let answer = own.json(Method::POST, "/v1/subscriptions", &body).await;
        assert!(
            answer.status.is_client_error(),
            "{field}: {}",
            answer.status
        );
        assert_short(field, &answer.text());
    }
    for query in [
        "{ metric(name: \"{}\") { id } }",
        "{ latest(metrics: [\"{}\"]) { sample { value } } }",
        "{ metrics(first: 1, after: \"{}\") { nodes { id } } }",
        "{ rank(metric: \"{}\") { display } }",
    ] {
        let answer = own.graphql(&query.replace("{}", &long)).await;
        assert_short(query, &answer.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_of_a_command_or_a_setting_echoes_a_long_value() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let long = long();
    let slot = "2026-11-24T10:00:00Z";
    for arguments in [
        &["run", &long, "--slot", slot][..],
        &["run", "vacuum", "--slot", &long],
        &["rank", &long],
        &["timeseries", &long],
        &["keys", "create", "--scopes", "read", &long],
        &["keys", "revoke", &long],
        &["signing-keys", "retire", &long],
        &["deliveries", "requeue", &long],
        &[
            "subscriptions",
            "create",
            "--metric",
            &long,
            "--address",
            "a@example.com",
        ],
        &[
            "subscriptions",
            "create",
            "--metric",
            "a",
            "--address",
            &long,
        ],
    ] {
        let said = program.run(arguments).await;
        assert!(said.code > 0, "{:?}", &arguments[..2]);
        assert_short(
            &format!("{:?}", &arguments[..1]),
            &format!("{}{}", said.out, said.err),
        );
    }
    for name in [
        "SERVER__LISTEN",
        "STORE__URL",
        "STORE__ENCRYPTION",
        "MAIL__URL",
        "MAIL__FROM",
        "DATABASE__URL",
        "DATABASE__ACQUIRE_TIMEOUT",
        "LOG__FORMAT",
        "AUTH__MODE",
    ] {
        let program = program.clone().with(&format!("MARKETLAKE_{name}"), &long);
        let said = program.run(&["up", "--role", "deliver"]).await;
        assert!(said.code > 0, "{name}");
        assert_short(name, &said.err);
    }
}
