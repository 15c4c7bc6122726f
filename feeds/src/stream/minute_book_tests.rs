//! Tests of the minute book, with a clock of their own.

use std::borrow::Cow;

use marketlake_model::Sample;

use super::*;

#[path = "last_price_tests.rs"]
mod last_price;

/// 2026-11-24T10:00:00Z.
const START: Minute = Minute::from_number(29_925_240);

fn book() -> MinuteBook {
    let mut book = MinuteBook::new("kraken");
    assert!(book.list(&Listing::new("BTC/USD", "XBT", "USD")));
    assert!(book.list(&Listing::new("DOGE/USD", "XDG", "USD")));
    book
}

/// Subscribes both pairs in a session at a time, by a trade of the other pair.
fn subscribe(book: &mut MinuteBook, session: u64, seconds: i64) {
    book.subscribe(session, "BTC/USD");
    book.subscribe(session, "DOGE/USD");
    reach(book, session, seconds);
}

/// A trade of the other pair shows that a session has come to a time.
fn reach(book: &mut MinuteBook, session: u64, seconds: i64) {
    let event = StreamEvent::Trade {
        symbol: "DOGE/USD".into(),
        id: format!("{session}{}", seconds + 1_000).into(),
        time: at(seconds),
        price: "7".into(),
        quantity: "1".into(),
        count: 1,
    };
    assert_eq!(
        book.take(session, &event, at(seconds)),
        EventOutcome::Accepted
    );
}

/// Seconds after the start of the first minute.
fn at(seconds: i64) -> Millis {
    Millis(START.start().0 + seconds * 1_000)
}

fn trade(
    id: u32,
    seconds: i64,
    price: &'static str,
    quantity: &'static str,
) -> StreamEvent<'static> {
    StreamEvent::Trade {
        symbol: Cow::Borrowed("BTC/USD"),
        id: Cow::Owned(id.to_string()),
        time: at(seconds),
        price: Cow::Borrowed(price),
        quantity: Cow::Borrowed(quantity),
        count: 1,
    }
}

fn candle(
    seconds: i64,
    close: &'static str,
    volume: &'static str,
    closed: bool,
) -> StreamEvent<'static> {
    StreamEvent::Candle {
        symbol: Cow::Borrowed("BTC/USD"),
        minute: at(seconds).minute(),
        time: at(seconds),
        close: Cow::Borrowed(close),
        high: Cow::Borrowed("9"),
        low: Cow::Borrowed("1"),
        volume: Cow::Borrowed(volume),
        trades: Some(3),
        closed,
    }
}

/// Samples of the first pair's minute as `pair:measure=value`, sorted.
fn samples(book: &mut MinuteBook, minute: i64) -> Vec<String> {
    let batch = book.batch(START.plus(minute));
    let text = |s: &Sample| format!("{}={}", s.metric.short_name(), s.value);
    let mut all: Vec<String> = batch.samples.iter().map(text).collect();
    all.retain(|text| text.starts_with("btcusd"));
    all.sort();
    all
}

/// Takes an event of a session in, at its own time or later.
fn take(
    book: &mut MinuteBook,
    session: u64,
    event: &StreamEvent<'_>,
    seconds: i64,
) -> EventOutcome {
    book.take(session, event, at(seconds))
}

fn quote(price: &'static str) -> StreamEvent<'static> {
    StreamEvent::LastPrice {
        symbol: "BTC/USD".into(),
        price: price.into(),
    }
}

const NONE: [&str; 0] = [];

#[test]
fn a_minute_is_the_sum_of_its_trades() {
    let mut book = book();
    subscribe(&mut book, 1, -10);
    for event in [
        trade(1, -1, "4", "7"),
        trade(2, 0, "3", "0.1"),
        trade(3, 30, "5", "0.2"),
        trade(4, 59, "2.50", "1"),
        trade(5, 60, "8", "9"),
    ] {
        assert_eq!(take(&mut book, 1, &event, 61), EventOutcome::Accepted);
    }
    assert!(!book.is_settled(START));
    assert_eq!(samples(&mut book, 0), NONE, "more of it may come");
    reach(&mut book, 1, 63);
    assert!(book.is_settled(START));
    let minute = [
        "btcusd:high=5",
        "btcusd:low=2.5",
        "btcusd:trades=3",
        "btcusd:volume=1.3",
        "btcusd=2.5",
    ];
    assert_eq!(samples(&mut book, 0), minute);
    assert_eq!(
        samples(&mut book, -1),
        NONE,
        "it was subscribed in its middle"
    );
    assert_eq!(samples(&mut book, 1), NONE, "it is not over");
}

#[test]
fn a_minute_with_a_gap_is_left_out_and_one_that_two_sessions_cover_is_not() {
    let mut book = book();
    subscribe(&mut book, 1, -10);
    take(&mut book, 1, &trade(1, 10, "3", "1"), 10);
    book.end(1);
    subscribe(&mut book, 2, 20);
    take(&mut book, 2, &trade(2, 30, "3", "1"), 30);
    reach(&mut book, 2, 63);
    assert_eq!(samples(&mut book, 0), NONE);
    // The next session begins before this one ends, and repeats a trade.
    take(&mut book, 2, &trade(3, 70, "4", "1"), 70);
    subscribe(&mut book, 3, 80);
    let again = take(&mut book, 3, &trade(3, 70, "4", "1"), 81);
    assert_eq!(again, EventOutcome::Duplicate);
    reach(&mut book, 2, 86);
    book.end(2);
    assert_eq!(
        take(&mut book, 3, &trade(4, 90, "6", "1"), 90),
        EventOutcome::Accepted
    );
    reach(&mut book, 3, 123);
    assert!(samples(&mut book, 1).contains(&"btcusd:volume=2".to_owned()));
}

#[test]
fn a_minute_tells_of_the_pairs_that_it_lacks_and_of_no_quiet_one_without_a_price() {
    let mut book = book();
    assert!(book.list(&Listing::new("ETH/USD", "ETH", "USD")));
    subscribe(&mut book, 1, -10);
    reach(&mut book, 1, 63);
    // Two had no trade yet, so that their prices are unknown; one is not subscribed yet.
    assert_eq!(samples(&mut book, 0), NONE);
    assert_eq!(book.batch(START).incomplete, 1);
    book.refuse(Some("ETH/USD"));
    assert_eq!(book.batch(START).incomplete, 0);
    // The second minute: the first pair loses a trade in it.
    take(&mut book, 1, &trade(1, 70, "x", "1"), 70);
    reach(&mut book, 1, 123);
    let batch = book.batch(START.plus(1));
    assert_eq!((batch.samples.len(), batch.incomplete), (5, 1));
    // No connection from the third minute on to the fourth.
    book.end(1);
    subscribe(&mut book, 2, 200);
    reach(&mut book, 2, 303);
    assert_eq!(book.batch(START.plus(2)).incomplete, 2);
    assert_eq!(book.batch(START.plus(4)).incomplete, 0);
}

#[test]
fn sessions_that_overlap_by_too_little_leave_the_minute_out() {
    let mut book = book();
    subscribe(&mut book, 1, -10);
    take(&mut book, 1, &trade(1, 10, "3", "1"), 10);
    subscribe(&mut book, 2, 20);
    // The old one's last event is older than the new one's beginning, 5 seconds after its first.
    reach(&mut book, 1, 24);
    book.end(1);
    reach(&mut book, 2, 63);
    assert_eq!(samples(&mut book, 0), NONE);
}

#[test]
fn a_connection_that_is_open_and_silent_proves_nothing() {
    let mut book = book();
    subscribe(&mut book, 1, -10);
    take(&mut book, 1, &trade(1, 10, "3", "1"), 10);
    assert_eq!(samples(&mut book, 0), NONE);
    assert!(!book.is_settled(START), "it may go on");
    book.end(1);
    assert!(book.is_settled(START), "nothing more comes");
    assert_eq!(samples(&mut book, 0), NONE);
}

#[test]
fn a_candle_is_whole_once_it_is_closed_or_its_session_outlived_it() {
    let mut book = book();
    subscribe(&mut book, 1, 30);
    // Subscribed in the minute's middle: the totals are the exchange's.
    take(&mut book, 1, &candle(40, "5", "10", false), 40);
    assert_eq!(samples(&mut book, 0), NONE, "a later state may come");
    reach(&mut book, 1, 63);
    assert!(samples(&mut book, 0).contains(&"btcusd:volume=10".to_owned()));
    take(&mut book, 1, &candle(90, "6", "4", false), 90);
    book.end(1);
    subscribe(&mut book, 2, 130);
    reach(&mut book, 2, 140);
    assert_eq!(samples(&mut book, 1), NONE, "a later state may be missing");
    take(&mut book, 2, &candle(119, "7", "5", true), 141);
    assert!(samples(&mut book, 1).contains(&"btcusd:volume=5".to_owned()));
}

#[test]
fn events_of_the_future_and_of_long_ago_are_left_out_and_move_nothing() {
    let mut book = book();
    subscribe(&mut book, 1, -10);
    take(&mut book, 1, &trade(2, 14, "3", "1"), 10);
    assert_eq!(
        take(&mut book, 1, &trade(3, -86_400, "3", "1"), 10),
        EventOutcome::Late
    );
    reach(&mut book, 1, 63);
    assert_eq!(samples(&mut book, 0).len(), 5);
    let future = trade(1, 86_400, "3", "1");
    assert_eq!(take(&mut book, 1, &future, 70), EventOutcome::Rejected);
    let batch = book.batch(START);
    assert_eq!(batch.rejected, 1);
    assert!(
        batch.first_rejected[0].reason.contains("at the latest"),
        "{batch:?}"
    );
    assert_eq!(
        samples(&mut book, 0).len(),
        5,
        "the minute before it is whole"
    );
    reach(&mut book, 1, 123);
    assert_eq!(
        samples(&mut book, 1),
        NONE,
        "its trade may have been of this one"
    );
}

#[test]
fn what_no_sample_can_be_is_rejected_with_its_reason_and_costs_its_minute() {
    let unlisted = StreamEvent::LastPrice {
        symbol: "ETH/USD".into(),
        price: "5".into(),
    };
    let invalid = StreamEvent::Invalid {
        entry: "{}".into(),
        reason: "no price".to_owned(),
    };
    for (event, reason, is_whole) in [
        (
            trade(1, 1, "x", "1"),
            "price: expected a decimal number",
            false,
        ),
        (
            trade(2, 1, "-1", "1"),
            "price: expected zero or more",
            false,
        ),
        (trade(3, 1, "1", "1e400"), "quantity: ", false),
        (
            candle(2, "90", "1", false),
            "expected low <= close <= high",
            false,
        ),
        (invalid, "no price", false),
        (unlisted, "expected the price of a listed symbol", true),
    ] {
        let mut book = book();
        subscribe(&mut book, 1, -10);
        take(&mut book, 1, &trade(9, 0, "3", "1"), 1);
        assert_eq!(
            take(&mut book, 1, &event, 3),
            EventOutcome::Rejected,
            "{event:?}"
        );
        reach(&mut book, 1, 63);
        let said = book.first_rejected[0].reason.clone();
        assert!(said.contains(reason), "{said}");
        let batch = book.batch(START);
        let samples = batch.samples.iter();
        let count = samples.filter(|s| s.metric.pair() == "btcusd").count();
        assert_eq!(count, if is_whole { 5 } else { 0 }, "{event:?}");
    }
}

#[test]
fn a_clock_that_is_wrong_gives_no_minute_out_too_early() {
    // Ahead by ten seconds: the exchange's clock decides.
    let mut book = book();
    book.subscribe(1, "BTC/USD");
    take(&mut book, 1, &trade(1, -20, "3", "1"), -10);
    take(&mut book, 1, &trade(2, 30, "3", "1"), 40);
    take(&mut book, 1, &trade(3, 55, "3", "1"), 65);
    assert!(!book.is_settled(START));
    assert_eq!(samples(&mut book, 0), NONE);
    take(&mut book, 1, &trade(4, 63, "3", "1"), 73);
    assert!(samples(&mut book, 0).contains(&"btcusd:volume=2".to_owned()));
}

#[test]
fn symbols_that_no_metric_can_have_or_another_has_are_not_listed() {
    let mut book = book();
    let long = "X".repeat(65);
    for (symbol, base, quote) in [
        ("A:B", "a:b", "usd"),
        (long.as_str(), "x", "usd"),
        ("XBTUSD", "BT", "CUSD"),
        ("BTC-USD", "btc", "usd"),
    ] {
        assert!(!book.list(&Listing::new(symbol, base, quote)), "{symbol}");
    }
    assert!(
        book.list(&Listing::new("BTC/USD", "XBT", "USD")),
        "it is known"
    );
    book.unlist("BTC/USD");
    assert!(book.list(&Listing::new("BTC-USD", "btc", "usd")));
}

#[test]
fn memory_is_bounded_in_minutes_and_in_sessions() {
    let mut book = book();
    for id in 0..1_000 {
        let (session, seconds) = (u64::from(id), i64::from(id) * 60);
        subscribe(&mut book, session, seconds);
        take(&mut book, session, &trade(id, seconds, "3", "1"), seconds);
        book.end(session);
    }
    let held = i64::try_from(book.pairs["BTC/USD"].held()).expect("it is small");
    assert_eq!(held, HELD_MINUTES);
    assert!(book.sessions.len() <= 13, "{}", book.sessions.len());
}
