//! Fifteen traps of streams, each known from other programs' bug reports.
//!
//! Where a trap has no test here, a comment names the test that covers it.

use std::time::Duration;

use marketlake_model::Millis;
use serde_json::Value;

use super::cases::{CASES, Reports, case};
use super::messages::{Candle, coinbase_match, kraken_candles};
use super::{NEXT, NEXT_VALUES, Rig, Setup, TRADES, VALUES, minute_of, trade};
use crate::feeds::{kept, rejected};
use crate::support::eventually;
use crate::support::samples::start;
use crate::support::stream_exchange::Step;

/// A message of a type that no exchange has, in the form of every one.
pub const UNKNOWN: &str = r#"{"type":"news","event":"news","channel":"news","topic":"news",
    "e":"news","arg":{"channel":"news"},"data":{"e":"news"}}"#;

// Traps 1, 2 and 4, connections that are open and send no data: see `silence`.

// Trap 3, symbols that fall silent alone: no feed can tell them from symbols that are not traded;
// the polled prices of the same exchange show them.

// See also `conformance::a_minute_with_a_gap_is_left_out_and_the_next_whole_one_is_not`.
#[tokio::test]
async fn trap_05_a_candle_whose_last_state_may_be_missing_is_left_out_until_it_comes() {
    for case in &CASES {
        let Reports::Candles(report) = case.reports else {
            continue;
        };
        let rig = Rig::start(case).await;
        rig.deliver(&case.messages(&case.active(), &TRADES[..1]))
            .await;
        rig.at(30_000);
        rig.exchange.play(0, vec![Step::DropTcp]).await;
        rig.exchange.connections(2).await;
        rig.ready(1).await;
        rig.is_left_out(0).await;
        let last = last_state(62_000);
        rig.exchange.send(report(&case.active(), &last)).await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
    }
}

/// Last state of the candle of [`TRADES`], sent at a time.
fn last_state(at: i64) -> Candle {
    let candle = TRADES
        .iter()
        .fold(None, |before, trade| Some(Candle::after(before, trade)));
    Candle {
        time: Millis(start().start().0 + at),
        closed: true,
        ..candle.unwrap()
    }
}

// See also `conformance::trades_that_come_again_on_the_next_connection_count_once`.
#[tokio::test]
async fn trap_06_the_last_trade_before_a_subscription_is_a_price_and_no_trade() {
    let case = case("coinbase");
    let rig = Rig::start(case).await;
    let messages = case.messages(&case.active(), &TRADES);
    rig.deliver(&messages).await;
    let last_match = |text: &str| text.replace(r#""match""#, r#""last_match""#);
    // Of a trade that came, and of one that did not.
    let came = last_match(&messages[0].1);
    let other = last_match(&coinbase_match(&case.quiet(), &trade(9, -4_000, "5", "3")));
    for text in [came, other] {
        rig.exchange.send(text).await;
    }
    let both = [
        minute_of(case, "btcusdt", VALUES),
        minute_of(case, "ethusdt", ["5", "0", "5", "5", "0"]),
    ];
    assert_eq!(rig.values(0).await, both.concat());
}

#[tokio::test]
async fn trap_07_a_snapshot_replaces_what_was_missed_before_it() {
    let case = case("kraken");
    let mut setup = Setup::new(case);
    // Subscribed ten seconds before the end of the second minute.
    setup.origin = start().plus(2);
    let rig = setup.start().await;
    rig.ready(0).await;
    rig.not_before(-4_000);
    let second = Candle {
        time: Millis(start().start().0 + 116_000),
        ..Candle::after(None, &NEXT)
    };
    let candles = [last_state(59_000), second];
    let snapshot = kraken_candles("snapshot", &case.active(), &candles);
    rig.exchange.send(snapshot).await;
    assert_eq!(rig.values(-2).await, minute_of(case, "btcusdt", VALUES));
    let values = rig.values(-1).await;
    assert_eq!(values, minute_of(case, "btcusdt", NEXT_VALUES));
}

// See also `conformance::trades_in_any_order_give_the_same_minute`.
#[tokio::test]
async fn trap_08_a_hole_in_the_ids_is_no_loss_and_ids_order_trades_of_one_time() {
    for case in CASES.iter().filter(|case| case.reports_trades()) {
        let rig = Rig::start(case).await;
        let trades = [
            trade(9, 10_000, "99", "1"),
            trade(3, 10_000, "101", "1"),
            trade(5, 10_000, "100", "1"),
        ];
        rig.deliver(&case.messages(&case.active(), &trades)).await;
        let values = ["99", "3", "101", "99", "3"];
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", values));
    }
}

#[tokio::test]
async fn trap_09_an_event_a_day_ahead_is_rejected_and_one_four_seconds_ahead_is_not() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let trades = [TRADES[0], TRADES[1], TRADES[2], NEXT];
        let messages = case.messages(&case.active(), &trades);
        let tomorrow = trade(7, 10_000 + 86_400_000, "1", "1");
        let tomorrow = case.messages(&case.active(), &[tomorrow]);
        rig.at(6_000);
        rig.exchange.send(messages[0].1.as_str()).await;
        rig.exchange.send(tomorrow[0].1.as_str()).await;
        rig.deliver(&messages[1..]).await;
        let batch = rig.minute(1).await.unwrap();
        assert_eq!(kept(&batch), minute_of(case, "btcusdt", NEXT_VALUES));
        let reason = format!(
            "{}: time: expected 2026-11-24T10:00:11Z at the latest, got 2026-11-25T10:00:10Z",
            case.active()
        );
        assert_eq!((batch.rejected, rejected(&batch)), (1, vec![reason]));
        if case.reports_trades() {
            // The trade may have been of this minute.
            rig.is_left_out(0).await;
        } else {
            assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        }
    }
}

#[tokio::test]
async fn trap_09_a_clock_ten_seconds_ahead_gives_no_minute_out_early() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        for (at, text) in case.messages(&case.active(), &TRADES) {
            rig.at(at + 10_000);
            rig.exchange.send(text).await;
        }
        // The minute has been over for five seconds by the clock, and is not by the exchange.
        rig.at(65_000);
        rig.reach(0, 55_000).await;
        let error = rig.given_out(0).await.unwrap_err().to_string();
        assert!(
            error.contains("no pair was connected"),
            "{}: {error}",
            case.name
        );
        rig.at(73_000);
        rig.reach(0, 63_000).await;
        let batch = rig.given_out(0).await.unwrap();
        assert_eq!(kept(&batch), minute_of(case, "btcusdt", VALUES));
    }
}

// That candles are whole without a mark is in `conformance`: none there has one.
#[tokio::test]
async fn trap_10_the_last_state_of_a_candle_may_come_after_the_next_minute_has_begun() {
    for case in &CASES {
        let Reports::Candles(report) = case.reports else {
            continue;
        };
        let rig = Rig::start(case).await;
        let trades = [TRADES[0], TRADES[1], trade(4, 60_500, "98", "2")];
        rig.deliver(&case.messages(&case.active(), &trades)).await;
        rig.at(61_500);
        rig.exchange
            .send(report(&case.active(), &last_state(61_400)))
            .await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        assert_eq!(rig.values(1).await, minute_of(case, "btcusdt", NEXT_VALUES));
        // The last price is that of the newest minute, not that of the newest message.
        let values = ["98", "0", "98", "98", "0"];
        assert_eq!(rig.values(2).await, minute_of(case, "btcusdt", values));
    }
}

/// The last state of a candle is sent after its minute's end.
#[tokio::test]
async fn trap_10_a_minute_without_a_trade_follows_a_candle_that_ended_late() {
    for case in &CASES {
        let Reports::Candles(report) = case.reports else {
            continue;
        };
        let rig = Rig::start(case).await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        rig.at(60_200);
        rig.exchange
            .send(report(&case.active(), &last_state(60_100)))
            .await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        let values = ["99.75", "0", "99.75", "99.75", "0"];
        assert_eq!(rig.values(1).await, minute_of(case, "btcusdt", values));
    }
}

// Trap 11: `conformance::an_announced_or_reached_end_of_a_connection_loses_no_minute`.

fn pairs(bases: &[&str]) -> Vec<(String, String)> {
    let pair = |base: &&str| ((*base).to_owned(), "USDT".to_owned());
    bases.iter().map(pair).collect()
}

// That symbols which are not acknowledged are noticed is in `conformance`.
#[tokio::test]
async fn trap_12_requests_are_sent_no_faster_than_the_exchange_allows() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.pairs = pairs(&["A", "B", "C", "D", "E"]);
        setup.limits.symbols_per_request = 1;
        setup.limits.request_interval = Duration::from_millis(100);
        let rig = setup.start().await;
        let messages = rig.exchange.messages(0, 5).await;
        let took = messages[4].0 - messages[0].0;
        // Four intervals; the first message may have waited before it was read.
        assert!(
            took >= Duration::from_millis(300),
            "{}: {took:?}",
            case.name
        );
    }
}

#[tokio::test]
async fn trap_12_symbols_are_divided_among_connections() {
    let case = case("kraken");
    let mut setup = Setup::new(case);
    setup.pairs = pairs(&["A", "B", "C", "D", "E"]);
    setup.limits.max_symbols = 2;
    let rig = setup.start().await;
    rig.exchange.connections(3).await;
    let mut symbols = Vec::new();
    for number in 0..3 {
        rig.ready(number).await;
        let messages = rig.exchange.messages(number, 1).await;
        let request: Value = serde_json::from_str(&messages[0].1).unwrap();
        let of_one = request["params"]["symbol"].as_array().unwrap();
        let of_one = of_one.iter().map(|symbol| symbol.as_str().unwrap());
        let of_one: Vec<String> = of_one.map(str::to_owned).collect();
        assert_eq!(of_one.len(), 2, "{of_one:?}");
        symbols.extend(of_one.into_iter().map(|symbol| (symbol, number)));
    }
    symbols.retain(|(symbol, _)| *symbol != case.clock());
    symbols.sort();
    let names: Vec<&str> = symbols.iter().map(|(symbol, _)| symbol.as_str()).collect();
    assert_eq!(names, ["A/USDT", "B/USDT", "C/USDT", "D/USDT", "E/USDT"]);
    for (symbol, number) in &symbols {
        for (at, text) in case.messages(symbol, &TRADES) {
            rig.not_before(at);
            rig.exchange.play(*number, vec![Step::Send(text)]).await;
        }
    }
    assert_eq!(rig.values(0).await.len(), 25);
    assert_eq!(rig.exchange.attempts(), 3);
}

#[tokio::test]
async fn trap_13_symbols_may_be_of_any_script() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.pairs = pairs(&["币安人生", "ETH2.S"]);
        let rig = setup.start().await;
        rig.ready(0).await;
        for base in ["币安人生", "ETH2.S"] {
            let symbol = (case.symbol)(base, "USDT");
            rig.deliver(&case.messages(&symbol, &TRADES)).await;
        }
        let both = [
            minute_of(case, "eth2.susdt", VALUES),
            minute_of(case, "币安人生usdt", VALUES),
        ];
        assert_eq!(rig.values(0).await, both.concat());
    }
}

#[tokio::test]
async fn trap_13_a_pair_that_cannot_be_a_metric_is_rejected_and_the_others_are_kept() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.pairs = pairs(&["A*B", "BTC"]);
        setup.rest = vec![setup.listings()];
        setup.pairs = pairs(&["BTC"]);
        let rig = setup.start().await;
        rig.ready(0).await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        let batch = rig.minute(0).await.unwrap();
        assert_eq!(kept(&batch), minute_of(case, "btcusdt", VALUES));
        let (symbol, name) = ((case.symbol)("A*B", "USDT"), case.name);
        let reason = format!(
            "{symbol}: expected a metric id like binance:hottry or binance:hottry:volume, \
             got \"{name}:a*busdt\""
        );
        assert_eq!((batch.rejected, rejected(&batch)), (1, vec![reason]));
    }
}

/// Kraken's list names BTC and DOGE by other names than its stream does: see `cases`.
#[tokio::test]
async fn trap_13_a_pair_that_is_listed_later_is_recorded_and_one_that_is_gone_is_not() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        let before = setup.listings();
        setup.pairs = pairs(&["BTC", "DOGE"]);
        setup.rest = vec![before, setup.listings()];
        setup.timings.listings_interval = Duration::from_millis(300);
        let rig = setup.start().await;
        // The second list adds a pair, the third one shows that the other is gone for good.
        let (gone, new) = (case.quiet().to_lowercase(), "doge");
        let number = eventually(case.name, async || {
            let number = rig.exchange.open().pop()?;
            let requests = rig.exchange.messages(number, 0).await;
            let texts = requests.iter().map(|(_, text)| text.to_lowercase());
            let texts = texts.collect::<String>();
            (texts.contains(new) && !texts.contains(&gone)).then_some(number)
        })
        .await;
        rig.ready(number).await;
        for earlier in 0..number {
            let is_polite = rig.exchange.closed(earlier).await;
            assert!(is_polite, "{}: no Close frame", case.name);
        }
        let requests = rig.exchange.messages(number, rig.requests).await;
        let names = |text: &str| text.to_lowercase().contains(&gone);
        assert!(
            !requests.iter().any(|(_, text)| names(text)),
            "{requests:?}"
        );
        let doge = (case.symbol)("DOGE", "USDT");
        for symbol in [case.active(), doge, case.quiet()] {
            rig.deliver(&case.messages(&symbol, &TRADES)).await;
        }
        let batch = rig.minute(0).await.unwrap();
        let both = [
            minute_of(case, "btcusdt", VALUES),
            minute_of(case, "dogeusdt", VALUES),
        ];
        assert_eq!(kept(&batch), both.concat());
        let reason = format!("{}: the symbol is not listed", case.quiet());
        assert_eq!(rejected(&batch), vec![reason; TRADES.len()]);
    }
}

// Trap 14, numbers and unknown types: see `bad_input`.

// Trap 15, a slow reader: `conformance::a_flood_does_not_change_a_minute`. A feed reads each
// message as it comes, and holds no queue.
