//! Messages that no exchange should send: they cost the minute in which they come, where what they
//! held may be missing from it, and nothing else.

use serde_json::Value;

use super::cases::{CASES, case};
use super::traps::UNKNOWN;
use super::{NEXT, NEXT_VALUES, Rig, Setup, TRADES, VALUES, minute_of, trade};
use crate::feeds::{kept, rejected};
use crate::support::samples::start;
use crate::support::stream_exchange::Step;

#[tokio::test]
async fn a_text_that_is_no_message_costs_its_minute_and_the_next_one_is_whole() {
    let texts = [
        "",
        "<html>busy</html>",
        "{",
        "null",
        "7",
        "\"text\"",
        "[1,2]",
        "\u{0}",
    ];
    for case in &CASES {
        let rig = Rig::start(case).await;
        let trades = [TRADES[0], TRADES[1], TRADES[2], NEXT];
        let messages = case.messages(&case.active(), &trades);
        rig.deliver(&messages[..1]).await;
        for text in texts {
            rig.exchange.send(text).await;
        }
        // Cut off in the middle.
        let half = messages[1].1.len() / 2;
        rig.exchange.send(&messages[1].1[..half]).await;
        rig.deliver(&messages[1..]).await;
        let batch = rig.minute(1).await.unwrap();
        assert_eq!(kept(&batch), minute_of(case, "btcusdt", NEXT_VALUES));
        assert_eq!(
            batch.rejected, 9,
            "{}: {:?}",
            case.name, batch.first_rejected
        );
        if case.reports_trades() {
            rig.is_left_out(0).await;
        } else {
            // The next state of the candle has the exchange's own totals.
            assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        }
        assert_eq!(rig.exchange.attempts(), 1, "{}", case.name);
    }
}

#[tokio::test]
async fn deep_nesting_ends_neither_the_process_nor_the_connection() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let nested = format!("{open}{close}");
        let message = UNKNOWN.replace(r#"{"e":"news"}"#, &nested);
        for text in [open, nested, message] {
            rig.exchange.send(text).await;
        }
        // What is known begins anew, before the minute.
        rig.tick().await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        assert_eq!(rig.exchange.attempts(), 1, "{}", case.name);
    }
}

#[tokio::test]
async fn binary_data_costs_its_minute_and_the_next_one_is_whole() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let trades = [TRADES[0], TRADES[1], TRADES[2], NEXT];
        let messages = case.messages(&case.active(), &trades);
        rig.deliver(&messages[..3]).await;
        rig.exchange
            .play(0, vec![Step::SendBinary(vec![0, 159, 146])])
            .await;
        rig.at(50_000);
        rig.tick().await;
        rig.deliver(&messages[3..]).await;
        let batch = rig.minute(1).await.unwrap();
        assert_eq!(kept(&batch), minute_of(case, "btcusdt", NEXT_VALUES));
        let reason = "message: expected text, got 3 bytes of binary data".to_owned();
        assert_eq!((batch.rejected, rejected(&batch)), (1, vec![reason]));
        // Of a candle, the last state may be missing.
        rig.is_left_out(0).await;
        assert_eq!(rig.exchange.attempts(), 1, "{}", case.name);
    }
}

#[tokio::test]
async fn a_message_of_more_than_10000_entries_is_rejected_as_a_whole() {
    for name in ["kraken", "okx", "bybit"] {
        let case = case(name);
        let rig = Rig::start(case).await;
        let messages = case.messages(&case.active(), &TRADES);
        let mut message: Value = serde_json::from_str(&messages[0].1).unwrap();
        let entry = message["data"][0].clone();
        message["data"] = vec![entry; 10_001].into();
        rig.exchange.send(message.to_string()).await;
        // What is known begins anew, before the minute.
        rig.tick().await;
        rig.deliver(&messages).await;
        let batch = rig.minute(0).await.unwrap();
        assert_eq!(kept(&batch), minute_of(case, "btcusdt", VALUES));
        let reasons = rejected(&batch);
        let part = "expected at most 10000 entries, got 10001";
        assert!(reasons[0].contains(part), "{name}: {reasons:?}");
        assert_eq!(batch.rejected, 1, "{name}: {reasons:?}");
    }
}

#[tokio::test]
async fn a_message_of_3_mb_is_read_and_one_of_5_mb_ends_the_connection() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.only_once();
        let rig = setup.start().await;
        rig.ready(0).await;
        let padded = |length: usize| {
            let padding = "x".repeat(length);
            UNKNOWN.replacen('{', &format!(r#"{{"padding":"{padding}","#), 1)
        };
        rig.exchange.send(padded(3 << 20)).await;
        assert_eq!(rig.exchange.attempts(), 1, "{}", case.name);
        rig.exchange.send(padded(5 << 20)).await;
        rig.exchange.connections(2).await;
        rig.error("too long").await;
    }
}

#[tokio::test]
async fn messages_of_unknown_types_are_no_errors() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        rig.exchange.send(UNKNOWN).await;
        let batch = rig.minute(0).await.unwrap();
        assert_eq!(kept(&batch), minute_of(case, "btcusdt", VALUES));
        assert_eq!(
            batch.rejected, 0,
            "{}: {:?}",
            case.name, batch.first_rejected
        );
    }
}

#[tokio::test]
async fn numbers_keep_all_their_digits() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let (price, quantity) = ("123456789012.345678", "0.000000000000000001");
        let trades = [trade(1, 10_000, price, quantity)];
        rig.deliver(&case.messages(&case.active(), &trades)).await;
        let values = [price, quantity, price, price, "1"];
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", values));
    }
}

#[tokio::test]
async fn numbers_may_be_json_numbers_or_texts() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let mut messages = case.messages(&case.active(), &TRADES);
        for (_, text) in &mut messages {
            for trade in &TRADES {
                for number in [trade.price, trade.quantity] {
                    *text = text.replace(&format!("\"{number}\""), number);
                }
            }
        }
        rig.deliver(&messages).await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
    }
}

#[tokio::test]
async fn a_number_that_is_not_kept_costs_its_pair_the_minute_and_no_other() {
    let (long, negative) = ("100.512345678901234567890123456789", "-100.5");
    for case in &CASES {
        let rig = Rig::start(case).await;
        let good = case.messages(&case.active(), &TRADES[..1]);
        for bad in [long, "1e99", negative] {
            let text = good[0].1.replace("100.5", bad);
            rig.not_before(good[0].0);
            rig.exchange.send(text).await;
        }
        rig.deliver(&case.messages(&case.quiet(), &TRADES)).await;
        let batch = rig.minute(0).await.unwrap();
        assert_eq!(kept(&batch), minute_of(case, "ethusdt", VALUES));
        let reasons = rejected(&batch);
        assert_eq!(reasons.len(), 3, "{}: {reasons:?}", case.name);
        for (reason, part) in reasons
            .iter()
            .zip(["does not fit", "does not fit", "zero or more"])
        {
            assert!(reason.contains(part), "{}: {reason}", case.name);
            assert!(
                reason.starts_with(&case.active()),
                "{}: {reason}",
                case.name
            );
        }
    }
}

#[tokio::test]
async fn a_symbol_that_is_not_listed_is_rejected() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let other = (case.symbol)("XRP", "USDT");
        rig.deliver(&case.messages(&other, &TRADES[..1])).await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        let batch = rig.minute(0).await.unwrap();
        assert_eq!(kept(&batch), minute_of(case, "btcusdt", VALUES));
        let reason = format!("{other}: the symbol is not listed");
        assert_eq!((batch.rejected, rejected(&batch)), (1, vec![reason]));
    }
}

/// Since 2025 the exchange's files are in microseconds; one day its messages may be.
#[tokio::test]
async fn a_candle_in_microseconds_is_rejected() {
    let case = case("binance");
    let rig = Rig::start(case).await;
    let messages = case.messages(&case.active(), &TRADES);
    let begin = start().start().0;
    let mut text = messages[0].1.clone();
    for time in [begin, begin + 59_999, begin + TRADES[0].at] {
        text = text.replace(&time.to_string(), &(time * 1_000).to_string());
    }
    rig.at(TRADES[0].at);
    rig.exchange.send(text).await;
    rig.deliver(&messages).await;
    let batch = rig.minute(0).await.unwrap();
    assert_eq!(kept(&batch), minute_of(case, "btcusdt", VALUES));
    assert_eq!(batch.rejected, 1, "{:?}", batch.first_rejected);
}
