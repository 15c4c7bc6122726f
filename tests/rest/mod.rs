//! The REST routes, as scripts call them.

mod caching;
pub mod coverage;
mod excerpts;
mod formats;
mod intervals;
mod subscriptions;

use std::fmt::Write;

use serde_json::{Value, json};

use crate::support::base::{Base, on_both};
use crate::support::program::{Program, Running};

/// Two markets, a tie, a metric with one sample only; from 10:00 to 10:03.
pub const HISTORY: &str = "metric,ts,value
binance:hottry,2026-11-24T10:00:00Z,0.06076
binance:hottry,2026-11-24T10:01:00Z,0.060800
binance:hottry,2026-11-24T10:03:00Z,1e-7
gateio:hottry,2026-11-24T10:00:00Z,5
gateio:hottry,2026-11-24T10:01:00Z,7
kraken:tie,2026-11-24T10:00:00Z,5
kraken:tie,2026-11-24T10:01:00Z,7
binance:single,2026-11-24T10:02:00Z,1
binance:hottry:volume,2026-11-24T10:02:00Z,12.5
";

/// A server without feeds over an imported history.
pub async fn serve(base: &Base, history: &str) -> Running {
    serve_with(&Program::on(base), base, history).await
}

/// The same with settings of its own.
pub async fn serve_with(program: &Program, base: &Base, history: &str) -> Running {
    let file = base.path().join("history.csv");
    std::fs::write(&file, history).unwrap();
    let program = program.clone().with("MARKETLAKE_FEEDS", "[]");
    program.ok(&["import", file.to_str().unwrap()]).await;
    program.up(&["--role", "api"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_lists_names_and_ids() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let answer = server.json("/v1/metrics").await;
        let names: Vec<(&str, &str)> = answer["data"].as_array().unwrap().iter()
            .map(|row| (row["metric"].as_str().unwrap(), row["id"].as_str().unwrap())).collect();
        assert_eq!(names, [
            ("hottry", "binance:hottry"),
            ("hottry:volume", "binance:hottry:volume"),
            ("single", "binance:single"),
            ("gateio:hottry", "gateio:hottry"),
            ("tie", "kraken:tie"),
        ]);
        let expected = json!({"metric": "hottry:volume", "id": "binance:hottry:volume", "market": "binance", "pair": "hottry", "measure": "volume"});
        assert_eq!(answer["data"][1], expected);
        assert_eq!(answer["next"], Value::Null);
        assert_eq!(server.json("/v1/metrics?at=2026-11-20T00:00:00Z").await, json!({"data": [], "next": null}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timeseries_has_the_exact_digits() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        assert_eq!(
            server.text("/v1/metric/hottry/timeseries").await,
            concat!(
                r#"{"data":[{"metric":"hottry","timestamp":"2026-11-24T10:00:00Z","value":0.06076},"#,
                r#"{"metric":"hottry","timestamp":"2026-11-24T10:01:00Z","value":0.0608},"#,
                r#"{"metric":"hottry","timestamp":"2026-11-24T10:03:00Z","value":0.0000001}],"next":null}"#
            )
        );
        assert_eq!(
            server.text("/v1/metric/binance:hottry/timeseries?from=2026-11-24T10:01:00Z&to=2026-11-24T10:01:30Z&format=columns").await,
            concat!(
                r#"{"metric":"hottry","id":"binance:hottry","from":"2026-11-24T10:01:00Z","to":"2026-11-24T10:01:00Z","#,
                r#""columns":["timestamp","value"],"timestamps":["2026-11-24T10:01:00Z"],"values":[0.0608]}"#
            )
        );
        let at = server.json("/v1/metric/HOTTRY/timeseries?at=2026-11-24T10:00:00Z").await;
        assert_eq!(at["data"].as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rank_shares_a_place_between_ties_and_knows_the_unranked() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let rank = server.json("/v1/metric/tie/rank").await;
        assert_eq!(rank["value"], json!(2.0_f64.sqrt()));
        let mut rest = rank.clone();
        rest.as_object_mut().unwrap().remove("value");
        assert_eq!(rest, json!({
            "metric": "tie", "id": "kraken:tie", "rank": 1, "of": 3, "display": "1/3", "statistic": "stddev",
            "from": "2026-11-23T10:04:00Z", "to": "2026-11-24T10:03:00Z",
        }));
        assert_eq!(server.json("/v1/metric/gateio:hottry/rank").await["display"], "1/3");
        assert_eq!(server.json("/v1/metric/hottry/rank").await["display"], "3/3");
        let unranked = server.json("/v1/metric/single/rank").await;
        assert_eq!((&unranked["rank"], &unranked["value"], &unranked["of"]), (&Value::Null, &Value::Null, &json!(3)));
        // Only metrics of the same measure compete; nobody else has a volume, and one sample is not
        // enough.
        assert_eq!(server.json("/v1/metric/hottry:volume/rank").await["of"], 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_come_to_an_end_and_lose_nothing() {
    let base = Base::local().await;
    let mut history = HISTORY.to_owned();
    for minute in 10..30 {
        writeln!(history, "binance:long,2026-11-24T10:{minute}:00Z,{minute}").unwrap();
    }
    let server = serve(&base, &history).await;
    for (route, whole) in [("/v1/metrics", 6), ("/v1/metric/long/timeseries", 20)] {
        let all = server.json(route).await;
        assert_eq!(all["data"].as_array().unwrap().len(), whole);
        let (mut rows, mut path) = (Vec::new(), format!("{route}?limit=3"));
        loop {
            let response = server.get(&path).await;
            let link = response
                .headers()
                .get("link")
                .map(|l| l.to_str().unwrap().to_owned());
            let page: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            rows.extend(page["data"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else {
                assert_eq!(link, None);
                break;
            };
            path = format!("{route}?limit=3&cursor={next}");
            assert_eq!(link, Some(format!("<{path}>; rel=\"next\"")));
        }
        assert_eq!(&Value::Array(rows), &all["data"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_a_problem_that_names_its_cause() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    for (path, status, detail) in [
        (
            "/v1/metric/nope/rank",
            404,
            r#"no metric "nope" was ever recorded; GET /v1/metrics lists the known ones"#,
        ),
        (
            "/v1/metric/nope/timeseries",
            404,
            r#"no metric "nope" was ever recorded; GET /v1/metrics lists the known ones"#,
        ),
        (
            "/v1/metric/hottry/rank?at=noon",
            400,
            r#"at: expected a time as RFC 3339 (2026-11-24T10:31:00Z), got "noon""#,
        ),
        (
            "/v1/metrics?at=",
            400,
            r#"at: expected a time as RFC 3339 (2026-11-24T10:31:00Z), got """#,
        ),
        (
            "/v1/metric/hottry/timeseries?to=2026-11-24T10:01:00Z&at=noon",
            400,
            r#"at: expected a time as RFC 3339 (2026-11-24T10:31:00Z), got "noon""#,
        ),
        (
            "/v1/metric/hottry/timeseries?from=1795516260",
            400,
            r#"from: expected a time as RFC 3339 (2026-11-24T10:31:00Z), got "1795516260""#,
        ),
        (
            "/v1/metric/hottry/timeseries?from=2026-11-25T00:00:00Z",
            400,
            "from: expected a time up to 2026-11-24T10:03:00Z, got 2026-11-25T00:00:00Z",
        ),
        (
            "/v1/metrics?limit=0",
            400,
            r#"limit: expected a number from 1 to 10000, got "0""#,
        ),
        (
            "/v1/metrics?cursor=%21",
            400,
            r#"cursor: expected a cursor of an earlier answer, got "!""#,
        ),
        (
            "/v1/metrics?form=x",
            400,
            "form: expected one of at, limit, cursor, market, measure, format",
        ),
        (
            "/v1/metric/hottry/timeseries?format=xml",
            400,
            r#"format: expected rows, columns, csv, ndjson, arrow or parquet, got "xml""#,
        ),
        ("/v2/metrics", 404, "there is nothing at /v2/metrics"),
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
        let problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(
            (&problem["status"], &problem["detail"]),
            (&json!(status), &json!(detail)),
            "{path}"
        );
    }
    let named = server.json("/v1/metric/hottry/rank?at=noon").await;
    assert_eq!(named["parameter"], "at");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_lake_answers_with_nothing() {
    on_both(async |base: Base| {
        let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[]");
        let server = program.up(&["--role", "api"]).await;
        assert_eq!(
            server.json("/v1/metrics").await,
            json!({"data": [], "next": null})
        );
        assert_eq!(
            server.get("/v1/metric/hottry/rank").await.status().as_u16(),
            404
        );
        assert_eq!(server.text("/healthz").await, "ok\n");
        assert_eq!(
            server.json("/readyz").await,
            json!({"ready": true, "roles": {"api": {"ready": true, "parts":
                {"catalog": "ok", "store": "ok", "recent_day": "ok"}}}})
        );
        assert!(
            server
                .metrics()
                .await
                .contains("marketlake_lake_segments 0")
        );
    })
    .await;
}
