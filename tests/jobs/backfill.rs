//! `backfill` of Binance's minutes, recorded and served on loopback.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::program::Program;
use crate::support::samples::minute;

/// An exchange that knows three pairs' minutes of some days, with holes, and bans clients that send
/// too many requests.
#[derive(Clone, Default)]
struct Exchange {
    requests: Arc<Mutex<Vec<String>>>,
    /// Number of the next requests that are answered with 429.
    bans: Arc<Mutex<u32>>,
}

/// A candle each minute but every seventh.
async fn klines(
    State(exchange): State<Exchange>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let number = |name: &str| query[name].parse::<i64>().unwrap();
    exchange.requests.lock().unwrap().push(format!(
        "{} {}",
        query["symbol"],
        number("startTime") / 60_000
    ));
    {
        let mut bans = exchange.bans.lock().unwrap();
        if *bans > 0 {
            *bans -= 1;
            let headers = [("retry-after", "1")];
            return (StatusCode::TOO_MANY_REQUESTS, headers, "too much").into_response();
        }
    }
    let rows: Vec<Value> = (number("startTime").div_euclid(60_000)..=number("endTime") / 60_000)
        .filter(|minute| minute % 7 != 0)
        .take(usize::try_from(number("limit")).unwrap())
        .map(|minute| {
            let price = format!("{}.50000000", minute % 1_000 + 1);
            json!([
                minute * 60_000,
                "1",
                "2",
                "0.5",
                price,
                "0.10000000",
                minute * 60_000 + 59_999,
                "1",
                1,
                "1",
                "1",
                "0"
            ])
        })
        .collect();
    let used = [("x-mbx-used-weight-1m", "12")];
    (used, Value::Array(rows).to_string()).into_response()
}

async fn serve(exchange: &Exchange) -> String {
    let prices = r#"[{"symbol":"BTCUSDT","price":"1"},{"symbol":"ETHUSDT","price":"2"},{"symbol":"HOTTRY","price":"3"}]"#;
    let router = Router::new()
        .route("/api/v3/klines", get(klines))
        .route("/api/v3/ticker/price", get(async move || prices))
        .with_state(exchange.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn on(base: &Base, url: &str) -> Program {
    let feeds = format!("[{{kind=\"binance\",base_url=\"{url}\"}}]");
    Program::on(base).with("MARKETLAKE_FEEDS", feeds)
}

const SPAN: [&str; 7] = [
    "backfill",
    "--feed",
    "binance",
    "--from",
    "2026-01-01T12:00:00Z",
    "--to",
    "2026-01-03T11:59:00Z",
];

/// Two samples a candle, three pairs, two days without every seventh minute.
fn expected() -> i64 {
    let (from, to) = (minute(SPAN[4]).number(), minute(SPAN[6]).number());
    let minutes = (from..=to).filter(|minute| minute % 7 != 0).count();
    2 * 3 * i64::try_from(minutes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_comes_day_by_day_and_pauses_are_obeyed() {
    on_both(async |base: Base| {
        let exchange = Exchange::default();
        *exchange.bans.lock().unwrap() = 2;
        let program = on(&base, &serve(&exchange).await);
        let said = program.run(&SPAN).await;
        assert_eq!(said.code, 0, "{said:?}");
        let figures = format!(
            "backfill: 3 days of 3 symbols, 0 were there before; the lake holds {} samples in 3 \
             segments\n",
            expected()
        );
        assert_eq!(said.out, figures);
        assert!(
            said.err.contains("2026-01-02 is in; 6 of 9, "),
            "{}",
            said.err
        );
        let lake = base.lake().await;
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
        let series = program
            .ok(&[
                "timeseries",
                "hottry",
                "--from",
                "2026-01-02T00:00:00Z",
                "--to",
                "2026-01-02T00:02:00Z",
                "--format",
                "csv",
            ])
            .await;
        let first = minute("2026-01-02T00:00:00Z").number() % 1_000 + 1;
        assert!(
            series.contains(&format!("hottry,2026-01-02T00:00:00Z,{first}.5\n")),
            "{series}"
        );
        // Minutes that are there are not requested again.
        let requests = exchange.requests.lock().unwrap().len();
        let again = program.ok(&SPAN).await;
        assert!(
            again.starts_with("backfill: 0 days of 3 symbols, 3 were there before;"),
            "{again}"
        );
        assert_eq!(exchange.requests.lock().unwrap().len(), requests);
        let bad = program
            .run(&["backfill", "--feed", "binance", "--from", "tomorrow"])
            .await;
        assert_eq!(bad.code, 2);
        assert!(
            bad.err.contains("--from: expected a time as RFC 3339"),
            "{bad:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_is_killed_goes_on_from_the_day_that_it_was_at() {
    on_both(async |base: Base| {
        let exchange = Exchange::default();
        let program = on(&base, &serve(&exchange).await);
        let stopping = program
            .clone()
            .with("FAILPOINTS", "between-answers-and-import=1*off->pause");
        let lake = base.lake().await;
        let mut doomed = stopping.start(&SPAN);
        eventually("the second day's answers", async || {
            let requests = exchange.requests.lock().unwrap();
            let second = minute("2026-01-02T16:40:00Z").number();
            let of_second = requests.iter().filter(|a| a.ends_with(&second.to_string()));
            // Its last page begins behind the thousandth candle.
            (of_second.count() > 0 || requests.len() >= 9).then_some(())
        })
        .await;
        doomed.kill();
        lake.refresh_directory().await.unwrap();
        assert!(lake.stats().await.unwrap().segments <= 1);
        sea_orm::ConnectionTrait::execute_unprepared(
            lake.database(),
            "update job_runs set lease_until = 1 where state = 'running'",
        )
        .await
        .unwrap();
        program.ok(&SPAN).await;
        assert_eq!(lake.stats().await.unwrap().samples, expected());
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}
