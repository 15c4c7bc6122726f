//! Binance: one answer for all symbols; weights and bans obeyed.

use marketlake_feeds::{Binance, Feed};

use super::{TIMEOUT, kept, rejected};
use crate::support::exchange::{Answer, Exchange};
use crate::support::samples::start;

fn feed(exchange: &Exchange) -> Binance {
    Binance::new(exchange.url.parse().unwrap(), TIMEOUT).unwrap()
}

#[tokio::test]
async fn every_symbol_is_kept_with_its_exact_price() {
    let body = r#"[{"symbol":"LTCBTC","price":"4.00000200"},{"symbol":"币安人生USDT","price":"0.1"},
        {"symbol":"BAD","price":"x"},{"symbol":"NOPRICE"},{"price":"1"},7,{"symbol":"LTCBTC","price":"5"}]"#;
    let exchange = Exchange::with([Answer::ok(body)]).await;
    let batch = feed(&exchange).samples(start()).await.unwrap();
    assert_eq!(
        kept(&batch),
        ["binance:ltcbtc=4.000002", "binance:币安人生usdt=0.1"]
    );
    assert_eq!(batch.rejected, 5);
    assert_eq!(
        rejected(&batch)[0],
        "BAD: expected a decimal number, got \"x\""
    );
    assert_eq!(exchange.requests(), ["/api/v3/ticker/price"]);
}

#[tokio::test]
async fn a_ban_is_obeyed_for_as_long_as_it_says() {
    for status in [429, 418] {
        let ban = Answer::status(status, r#"{"code":-1003,"msg":"Too many requests"}"#)
            .header("retry-after", "7200");
        let exchange = Exchange::with([ban, Answer::ok(r#"[{"symbol":"A","price":"1"}]"#)]).await;
        let feed = feed(&exchange);
        let error = feed.samples(start()).await.unwrap_err();
        assert_eq!(error.pause().unwrap().as_secs(), 7_200);
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        let again = feed.samples(start().plus(1)).await.unwrap_err();
        assert!(again.pause().unwrap().as_secs() > 7_100, "{again}");
        assert_eq!(exchange.requests().len(), 1);
    }
}

#[tokio::test]
async fn near_the_weight_limit_the_next_question_waits() {
    let heavy =
        Answer::ok(r#"[{"symbol":"A","price":"1"}]"#).header("x-mbx-used-weight-1m", "5500");
    let exchange = Exchange::with([heavy]).await;
    let feed = feed(&exchange);
    assert_eq!(kept(&feed.samples(start()).await.unwrap()), ["binance:a=1"]);
    assert!(feed.samples(start()).await.unwrap_err().pause().is_some());
    assert_eq!(exchange.requests().len(), 1);
}

/// Since 2025 the exchange's files are in microseconds; one day its answers may be.
#[tokio::test]
async fn a_candle_of_a_minute_that_was_not_asked_for_is_left_out() {
    let row = |time: i64| format!(r#"[{time},"1","1","1","2","3",0,"1",1,"1","1","0"]"#);
    let first = start().start().0;
    let odd = [first * 1_000, i64::MAX, i64::MIN, 0, first + 10 * 60_000];
    let mut rows: Vec<String> = odd.into_iter().map(row).collect();
    let all_odd = Exchange::with([Answer::ok(format!("[{}]", rows.join(",")))]).await;
    let candles = feed(&all_odd).minutes("x", start(), start().plus(5)).await;
    let error = candles.unwrap_err().to_string();
    assert!(
        error.contains(
            "row 0: time: expected milliseconds from 2026-11-24T10:00:00Z to \
            2026-11-24T10:05:00Z, got 1795514400000000"
        ),
        "{error}"
    );
    rows.insert(2, row(first));
    let one_good = Exchange::with([Answer::ok(format!("[{}]", rows.join(",")))]).await;
    let samples = feed(&one_good)
        .minutes("x", start(), start().plus(5))
        .await
        .unwrap();
    let minutes: Vec<_> = samples.iter().map(|sample| sample.ts).collect();
    assert_eq!(minutes, [start(); 2]);
}
