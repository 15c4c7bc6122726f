//! Binance: one answer for all symbols; weights and bans obeyed.

use std::sync::Arc;

use marketlake_feeds::Feed;

use super::{TIMEOUT, kept, rejected};
use crate::support::exchange::{Answer, Exchange};
use crate::support::samples::start;

fn feed(exchange: &Exchange) -> Arc<dyn Feed> {
    exchange.polled("binance", TIMEOUT)
}

#[tokio::test]
async fn every_symbol_is_kept_with_its_exact_price_and_volume_of_24_hours() {
    let body = r#"[{"symbol":"LTCBTC","lastPrice":"4.00000200","volume":"1034.50000000"},
        {"symbol":"币安人生USDT","lastPrice":"0.1","volume":"0.00000000"},
        {"symbol":"BAD","lastPrice":"x","volume":"1"},{"symbol":"NOPRICE","volume":"1"},
        {"lastPrice":"1","volume":"1"},7,{"symbol":"LTCBTC","lastPrice":"5","volume":"6"},
        {"symbol":"NEG","lastPrice":"1","volume":"-2"}]"#;
    let exchange = Exchange::with([Answer::ok(body)]).await;
    let batch = feed(&exchange).samples(start()).await.unwrap();
    assert_eq!(
        kept(&batch),
        [
            "binance:ltcbtc:volume24h=1034.5",
            "binance:ltcbtc=4.000002",
            "binance:neg=1",
            "binance:币安人生usdt:volume24h=0",
            "binance:币安人生usdt=0.1",
        ]
    );
    assert!(batch.samples.iter().all(|sample| sample.ts == start()));
    let rejected = rejected(&batch);
    assert_eq!((batch.rejected, rejected.len()), (6, 6));
    assert!(
        rejected[0].starts_with(r#"{"symbol":"NOPRICE","volume":"1"}: missing field `lastPrice`"#),
        "{rejected:?}"
    );
    assert_eq!(
        rejected[3..],
        [
            "BAD: price: expected a decimal number, got \"x\"",
            "LTCBTC: the same metric came earlier in this answer",
            "NEG: volume24h: expected zero or more, got -2",
        ]
    );
    assert_eq!(exchange.requests(), ["/api/v3/ticker/24hr"]);
}

#[tokio::test]
async fn a_ban_is_obeyed_for_as_long_as_it_says() {
    for status in [429, 418] {
        let ban = Answer::status(status, r#"{"code":-1003,"msg":"Too many requests"}"#)
            .header("retry-after", "7200");
        let exchange = Exchange::with([ban, Answer::tickers(&[("A", "1")])]).await;
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
    let heavy = Answer::tickers(&[("A", "1")]).header("x-mbx-used-weight-1m", "5500");
    let exchange = Exchange::with([heavy]).await;
    let feed = feed(&exchange);
    assert_eq!(
        kept(&feed.samples(start()).await.unwrap()),
        ["binance:a:volume24h=10", "binance:a=1"]
    );
    assert!(feed.samples(start()).await.unwrap_err().pause().is_some());
    assert_eq!(exchange.requests().len(), 1);
}

#[tokio::test]
async fn without_numbers_of_its_own_a_new_symbol_is_left_out_and_others_are_kept() {
    let body = r#"[{"symbol":"NEW","lastPrice":"","volume":""},
        {"symbol":"OLD","lastPrice":"2","volume":""}]"#;
    let exchange = Exchange::with([Answer::ok(body)]).await;
    let batch = feed(&exchange).samples(start()).await.unwrap();
    assert_eq!(kept(&batch), ["binance:old=2"]);
    assert_eq!(batch.rejected, 0);
}
