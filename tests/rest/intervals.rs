//! Samples aggregated into intervals, over REST, GraphQL and the CLI.

use serde_json::{Value, json};

use super::{HISTORY, serve};
use crate::support::base::{Base, on_both};
use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_has_one_value_or_a_candle() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let route = "/v1/metric/hottry/timeseries?interval=2m";
        let row = |timestamp: &str, value: &str| {
            let number: Value = serde_json::from_str(value).unwrap();
            json!({"metric": "hottry", "timestamp": timestamp, "value": number})
        };
        let first = "2026-11-24T10:00:00Z";
        let second = "2026-11-24T10:02:00Z";
        for (aggregate, values) in [
            ("", ["0.06078", "0.0000001"]),
            ("&aggregate=max", ["0.0608", "0.0000001"]),
            ("&aggregate=sum", ["0.12156", "0.0000001"]),
            ("&aggregate=count", ["2", "1"]),
        ] {
            let answer = server.json(&format!("{route}{aggregate}")).await;
            let rows = json!([row(first, values[0]), row(second, values[1])]);
            assert_eq!(answer, json!({"data": rows, "next": null}), "{aggregate}");
        }
        let candles = server.text(&format!("{route}&aggregate=ohlc&limit=1")).await;
        assert!(
            candles.starts_with(r#"{"data":[{"metric":"hottry","timestamp":"2026-11-24T10:00:00Z","open":0.06076,"high":0.0608,"low":0.06076,"close":0.0608,"count":2}],"next":""#),
            "{candles}"
        );
        let candles: Value = serde_json::from_str(&candles).unwrap();
        let cursor = candles["next"].as_str().unwrap();
        let rest = server.json(&format!("{route}&aggregate=ohlc&limit=1&cursor={cursor}")).await;
        assert_eq!((&rest["data"][0]["timestamp"], &rest["next"]), (&second.into(), &Value::Null));
        let columns = server.json(&format!("{route}&format=columns&aggregate=first")).await;
        assert_eq!(columns["timestamps"], json!([first, second]));
        let candles = server.json(&format!("{route}&format=columns&aggregate=ohlc")).await;
        assert_eq!(candles["columns"], json!(["timestamp", "open", "high", "low", "close", "count"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_that_is_none_names_what_was_expected() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    for (query, detail) in [
        (
            "interval=90s",
            "expected whole minutes up to 366 days, like 5m, 1h or 1d, got \\\"90s\\\"",
        ),
        (
            "interval=5m&aggregate=median",
            "expected avg, min, max, first, last, sum, count or ohlc, got \\\"median\\\"",
        ),
        ("aggregate=avg", "expected with interval (5m, 1h, 1d) only"),
    ] {
        let response = server
            .get(&format!("/v1/metric/hottry/timeseries?{query}"))
            .await;
        assert_eq!(response.status(), 400, "{query}");
        let problem = response.text().await.unwrap();
        assert!(problem.contains(detail), "{query}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_and_the_shell_gather_alike() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let query = r#"{ timeseries(metrics: ["hottry"], interval: "1h", aggregate: LAST) {
            times values candles { timestamp open high low close count } } }"#;
        let answer = server.graphql(query).await;
        let hour = "2026-11-24T10:00:00Z";
        let candle = json!({"timestamp": hour, "open": "0.06076", "high": "0.0608", "low": "0.0000001", "close": "0.0000001", "count": 3});
        assert_eq!(
            answer["data"]["timeseries"],
            json!([{"times": [hour], "values": ["0.0000001"], "candles": [candle]}])
        );
        let bad = server.graphql(r#"{ timeseries(metrics: ["hottry"], aggregate: LAST) { times } }"#).await;
        assert_eq!(bad["errors"][0]["extensions"]["code"], "BAD_ARGUMENT");
        let program = Program::on(&base);
        for engine in ["datafusion", "memory"] {
            let arguments = ["timeseries", "hottry", "--interval", "1h", "--aggregate", "min", "--engine", engine, "--format", "csv"];
            let said = program.ok(&arguments).await;
            assert_eq!(said, format!("metric,timestamp,value\nhottry,{hour},0.0000001\n"));
        }
    })
    .await;
}
