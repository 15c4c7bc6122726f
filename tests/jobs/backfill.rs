//! `backfill` of an exchange's minutes, served on loopback.

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
    if query["symbol"] == "GONE" {
        let error = r#"{"code":-1121,"msg":"Invalid symbol."}"#;
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
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
                "2000",
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
    let listed = |(base, quote): (&str, &str)| {
        json!({
            "symbol": format!("{base}{quote}"),
            "status": "TRADING",
            "baseAsset": base,
            "quoteAsset": quote,
        })
    };
    let pairs = [("BTC", "USDT"), ("ETH", "USDT"), ("HOT", "TRY")].map(listed);
    let pairs = json!({ "symbols": pairs }).to_string();
    let router = Router::new()
        .route("/api/v3/klines", get(klines))
        .route("/api/v3/exchangeInfo", get(move || async move { pairs }))
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

/// Five samples a candle, three pairs, two days without every seventh minute.
fn expected() -> i64 {
    let (from, to) = (minute(SPAN[4]).number(), minute(SPAN[6]).number());
    let minutes = (from..=to).filter(|minute| minute % 7 != 0).count();
    5 * 3 * i64::try_from(minutes).unwrap()
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

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_symbol_is_named_and_the_others_are_loaded() {
    on_both(async |base: Base| {
        let exchange = Exchange::default();
        let program = on(&base, &serve(&exchange).await);
        let mut arguments = SPAN.to_vec();
        arguments.extend(["--pairs", "btcusdt,gone,HOTTRY"]);
        let said = program.ok(&arguments).await;
        let lines: Vec<&str> = said.lines().collect();
        let [figures, skipped] = lines[..] else {
            panic!("{said}");
        };
        let samples = expected() / 3 * 2;
        assert!(
            figures.contains(&format!("the lake holds {samples} samples in 3 segments")),
            "{figures}"
        );
        assert_eq!(skipped, "skipped: GONE (Invalid symbol.)");
        let requests = exchange.requests.lock().unwrap();
        let of_unknown = requests
            .iter()
            .filter(|request| request.starts_with("GONE "));
        assert_eq!(of_unknown.count(), 1);
    })
    .await;
}

/// Candles of a minute each, as Bybit answers them: the newest first, and none after the limit.
async fn bybit_klines(Query(query): Query<HashMap<String, String>>) -> String {
    let number = |name: &str| query[name].parse::<i64>().unwrap();
    let minutes = number("start").div_euclid(60_000)..=number("end") / 60_000;
    let limit = usize::try_from(number("limit")).unwrap();
    let rows: Vec<Value> = minutes
        .rev()
        .take(limit)
        .map(|minute| {
            let time = (minute * 60_000).to_string();
            json!([time, "1.5", "2.50", "1.25", "1.75", "0.125", "0.2"])
        })
        .collect();
    let result = json!({"category": "spot", "symbol": query["symbol"], "list": rows});
    json!({"retCode": 0, "retMsg": "OK", "result": result}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_exchange_with_a_history_can_be_loaded() {
    let base = Base::local().await;
    let pair = json!({
        "symbol": "BTCUSDT", "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT",
    });
    let pairs = json!({"retCode": 0, "result": {"list": [pair]}}).to_string();
    let router = Router::new()
        .route(
            "/v5/market/instruments-info",
            get(move || async move { pairs }),
        )
        .route("/v5/market/kline", get(bybit_klines));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let feeds = format!("[{{kind=\"bybit\",mode=\"poll\",base_url=\"{url}\"}}]");
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", feeds);
    let mut arguments = SPAN;
    arguments[2] = "bybit";
    let said = program.ok(&arguments).await;
    let minutes = minute(SPAN[6]).number() - minute(SPAN[4]).number() + 1;
    let samples = minutes * 4;
    assert!(
        said.contains(&format!("the lake holds {samples} samples in 3 segments")),
        "{said}"
    );
    for (measure, value) in [
        ("", "1.75"),
        (":volume", "0.125"),
        (":high", "2.5"),
        (":low", "1.25"),
    ] {
        let name = format!("bybit:btcusdt{measure}");
        let (from, to) = ("2026-01-02T16:40:00Z", "2026-01-02T16:40:00Z");
        let series = [
            "timeseries",
            &name,
            "--from",
            from,
            "--to",
            to,
            "--format",
            "csv",
        ];
        let shown = program.ok(&series).await;
        assert!(shown.contains(&format!(",{from},{value}\n")), "{shown}");
    }
    let wrong = program
        .run(&["backfill", "--feed", "cryptowatch", "--from", SPAN[4]])
        .await;
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.err.contains("possible values: binance, kraken"),
        "{wrong:?}"
    );
}
