//! The same rows in six formats, read by their usual readers.

use std::process::Command;

use serde_json::{Value, json};

use super::{HISTORY, serve};
use crate::support::base::{Base, on_both};
use crate::support::client::Client;

/// Reads both binary forms by pandas' own reader, and prints their rows.
const PANDAS: &str = r"
import sys, json, pyarrow as pa, pyarrow.parquet as pq
arrow = pa.ipc.open_stream(sys.argv[1]).read_all()
parquet = pq.read_table(sys.argv[2])
assert arrow.to_pydict() == parquet.to_pydict(), (arrow, parquet)
frame = arrow.to_pandas()
print(json.dumps({'types': {k: str(v) for k, v in frame.dtypes.items()}, 'rows': json.loads(frame.to_json(orient='records', date_format='iso'))}))
";

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_the_same_in_every_form() {
    on_both(async |base: Base| {
        let server = Client::owning(serve(&base, HISTORY).await);
        let route = "/v1/metric/hottry/timeseries";
        let csv = server.get(&format!("{route}?format=csv")).await;
        assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
        assert_eq!(csv.text(), "metric,timestamp,value\nhottry,2026-11-24T10:00:00Z,0.06076\nhottry,2026-11-24T10:01:00Z,0.0608\nhottry,2026-11-24T10:03:00Z,0.0000001\n");
        let lines = server.with("accept", "application/x-ndjson").get(route).await.text();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(Value::Array(lines), server.get(route).await.value()["data"]);
        let mut files = Vec::new();
        for (accept, format) in [("application/vnd.apache.arrow.stream", "arrow"), ("application/vnd.apache.parquet", "parquet")] {
            let by_header = server.with("accept", accept).get(route).await;
            assert_eq!(by_header.header("content-type"), accept);
            let by_name = server.get(&format!("{route}?format={format}")).await;
            assert_eq!(by_name.header("content-type"), accept);
            let file = base.path().join(format);
            std::fs::write(&file, &by_name.body).unwrap();
            files.push(file);
        }
        let Ok(python) = std::env::var("MARKETLAKE_TEST_PYTHON") else {
            panic!("MARKETLAKE_TEST_PYTHON: expected a Python with pyarrow; scripts/test makes \
                one");
        };
        let out = Command::new(python).args(["-c", PANDAS]).args(&files).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let read: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(read["types"]["value"], "float64");
        assert!(read["types"]["timestamp"].as_str().unwrap().contains("UTC"), "{read}");
        assert_eq!(read["rows"][0], json!({"metric": "hottry", "timestamp": "2026-11-24T10:00:00.000Z", "value": 0.06076, "unscaled": 6076, "scale": 5}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_has_every_form_and_pages() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    for route in [
        "/v1/metrics",
        "/v1/metric/hottry/timeseries",
        "/v1/ranking",
        "/v1/jumps",
    ] {
        let rows = server.get(route).await.value()["data"]
            .as_array()
            .unwrap()
            .len();
        let csv = server.get(&format!("{route}?format=csv")).await.text();
        assert_eq!(csv.lines().count(), rows + 1, "{route}");
        for format in ["columns", "ndjson", "arrow", "parquet"] {
            let answer = server.get(&format!("{route}?format={format}")).await;
            assert_eq!(answer.status.as_u16(), 200, "{route} {format}");
        }
        if rows > 1 {
            let first = server.get(&format!("{route}?format=csv&limit=1")).await;
            assert_eq!(first.text().lines().count(), 2, "{route}");
            let link = first.header("link");
            let next = link.trim_start_matches('<').split('>').next().unwrap();
            let second = server.get(next).await.text();
            assert_eq!(second.lines().nth(1), csv.lines().nth(2), "{route}");
        }
        let answer = server.with("accept", "image/png").get(route).await;
        assert_eq!(answer.status.as_u16(), 406, "{route}");
    }
    let ranking = server
        .get("/v1/ranking?format=columns&statistic=mean")
        .await
        .value();
    assert_eq!(
        (&ranking["statistic"], &ranking["of"], &ranking["ranks"]),
        (&json!("mean"), &json!(3), &json!([1, 1, 3]))
    );
    let metric = server.get("/v1/metrics/tie").await.value();
    assert_eq!(
        metric,
        json!({"metric": "tie", "id": "kraken:tie", "market": "kraken", "pair": "tie", "measure": "price", "alternatives": [],
        "timestamp": "2026-11-24T10:01:00Z", "value": 7, "rank": 1, "of": 3, "display": "1/3"})
    );
}
