//! A recorded answer of Cryptowatch: all markets of one minute of 2022.

use std::process::Command;

use serde_json::Value;

use crate::support::base::{Base, on_both};
use crate::support::exchange::{Answer, Exchange};
use crate::support::program::Program;
use crate::support::recordings;
use crate::support::samples::last_minute;

const MARKETS: usize = 10_625;

/// Reads the Parquet files by `DuckDB` and compares every value with the recording, digit for
/// digit.
const COMPARE: &str = r#"
import decimal, duckdb, json, sys
files, recording, minute = sys.argv[1:4]
decimal.getcontext().prec = 60
sent = json.load(open(recording), parse_float=decimal.Decimal, parse_int=decimal.Decimal)["result"]
sent = {k.removeprefix("market:"): v for k, v in sent.items() if k.startswith("market:")}
con = duckdb.connect(); con.execute("set timezone='UTC'")
rows = con.execute(f"select metric, strftime(ts, '%Y-%m-%dT%H:%M:%SZ'), unscaled, scale from \
    read_parquet('{files}', hive_partitioning=false)").fetchall()
assert all(r[1] == minute for r in rows), rows[:3]
kept = {m: decimal.Decimal(u).scaleb(-s) for m, _, u, s in rows}
assert len(kept) == len(rows)
different = [(m, v, kept.get(m)) for m, v in sent.items() if kept.get(m) != v]
assert not different and len(kept) == len(sent), different[:5]
hottry = con.execute(f"select unscaled / pow(10, scale) from read_parquet('{files}') where metric \
    = 'binance:hottry'").fetchone()[0]
print(len(kept), "equal;", "hottry", hottry)
"#;

fn whole(recording: &str) -> Vec<Answer> {
    vec![Answer::ok(recording)]
}

/// The same entries in three pages.
fn pages(recording: &str) -> Vec<Answer> {
    let body = recording.strip_prefix(r#"{"result":{"#).unwrap();
    let (entries, rest) = body.split_once("},").unwrap();
    let entries: Vec<&str> = entries.split(',').collect();
    let size = entries.len().div_ceil(3);
    let mut pages: Vec<Answer> = Vec::new();
    for (index, chunk) in entries.chunks(size).enumerate() {
        let page = chunk.join(",");
        pages.push(Answer::ok(if index < 2 {
            format!(r#"{{"result":{{{page}}},"cursor":{{"last":"c{index}","hasMore":true}},"allowance":{{}}}}"#)
        } else {
            format!(r#"{{"result":{{{page}}},{rest}"#)
        }));
    }
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn every_market_of_the_recording_is_answered_digit_for_digit() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let path = folder.join("cryptowatch/get_all_market_prices_20220228.json");
    let recording = std::fs::read_to_string(&path).unwrap();
    for (answers, requests) in [(whole(&recording), 1), (pages(&recording), 3)] {
        on_both(async |base: Base| {
            let exchange = Exchange::with(answers.clone()).await;
            let feeds = format!("[{{kind=\"cryptowatch\",base_url=\"{}\"}}]", exchange.url);
            let program = Program::on(&base).with("MARKETLAKE_FEEDS", feeds);
            let minute = last_minute().await.to_string();
            let out = program.ok(&["run", "ingest-minute", "--slot", &minute]).await;
            assert!(out.contains(&format!("\"samples\":{MARKETS}")), "{out}");
            assert!(out.contains(r#""other_kinds":{"index":5}"#) && out.contains(r#""rejected":0"#), "{out}");
            assert_eq!(exchange.requests().len(), requests);

            let files = format!("{}/raw/*/*/*.parquet", base.objects().display());
            let python = std::env::var_os("MARKETLAKE_TEST_PYTHON").expect("scripts/test makes \
                one");
            let compared = Command::new(python).args(["-c", COMPARE, &files, path.to_str().unwrap(), &minute]).output().unwrap();
            let said = String::from_utf8_lossy(&compared.stdout).into_owned();
            assert_eq!(said, "10625 equal; hottry 0.06076\n", "{}", String::from_utf8_lossy(&compared.stderr));

            let shell = program.ok(&["timeseries", "hottry", "--format", "csv"]).await;
            assert_eq!(shell, format!("metric,timestamp,value\nhottry,{minute},0.06076\n"));
            assert_eq!(program.json(&["metrics"]).await.as_array().unwrap().len(), MARKETS);
            let server = program.up(&["--role", "api"]).await;
            let rest = server.text("/v1/metric/hottry/timeseries").await;
            assert_eq!(rest, format!(r#"{{"data":[{{"metric":"hottry","timestamp":"{minute}","value":0.06076}}],"next":null}}"#));
            let graphql = server.graphql(r#"{ timeseries(metrics: ["hottry"]) { values metric { id } } }"#).await;
            let expected: Value = serde_json::from_str(r#"[{"values":["0.06076"],"metric":{"id":"binance:hottry"}}]"#).unwrap();
            assert_eq!(graphql["data"]["timeseries"], expected);
            let first_page = server.json("/v1/metrics").await;
            let next = first_page["next"].as_str().unwrap();
            let second_page = server.json(&format!("/v1/metrics?cursor={next}")).await;
            let rows = |page: &Value| page["data"].as_array().unwrap().len();
            assert_eq!((rows(&first_page), rows(&second_page)), (10_000, MARKETS - 10_000));
        })
        .await;
    }
}
