//! Tests of the minute book: minutes without a trade, and the last price.

use super::*;

#[test]
fn a_minute_without_a_trade_has_the_last_price_and_no_volume() {
    let mut book = book();
    subscribe(&mut book, 1, -10);
    reach(&mut book, 1, 64);
    assert_eq!(samples(&mut book, 0), NONE, "no price is known");
    take(&mut book, 1, &trade(1, 70, "3", "1"), 70);
    // The first trade of a later minute comes before this one is given out.
    take(&mut book, 1, &trade(2, 181, "4", "1"), 181);
    reach(&mut book, 1, 184);
    let quiet = [
        "btcusd:high=3",
        "btcusd:low=3",
        "btcusd:trades=0",
        "btcusd:volume=0",
        "btcusd=3",
    ];
    assert_eq!(samples(&mut book, 2), quiet);
    assert_eq!(samples(&mut book, 0), NONE, "before the first price");
}

#[test]
fn the_price_before_a_gap_is_not_the_price_after_it() {
    let mut book = book();
    subscribe(&mut book, 1, -10);
    take(&mut book, 1, &trade(1, 10, "3", "1"), 10);
    book.end(1);
    subscribe(&mut book, 2, 100);
    reach(&mut book, 2, 183);
    assert_eq!(samples(&mut book, 2), NONE);
    assert_eq!(
        book.without_price(2),
        [("BTC/USD".to_owned(), "btcusd".to_owned())]
    );
    assert_eq!(take(&mut book, 2, &quote("5"), 184), EventOutcome::Accepted);
    assert_eq!(book.without_price(2), []);
    assert_eq!(
        samples(&mut book, 2),
        NONE,
        "the quote is of a later minute"
    );
    reach(&mut book, 2, 244);
    assert!(samples(&mut book, 3).contains(&"btcusd=5".to_owned()));
    // An interruption: trades may have been missed.
    book.interrupt(2);
    reach(&mut book, 2, 250);
    reach(&mut book, 2, 400);
    assert_eq!(samples(&mut book, 5), NONE);
}

#[test]
fn a_quote_that_comes_before_the_acknowledgement_counts() {
    let mut book = book();
    assert_eq!(take(&mut book, 1, &quote("5"), -11), EventOutcome::Accepted);
    subscribe(&mut book, 1, -10);
    reach(&mut book, 1, 63);
    assert!(samples(&mut book, 0).contains(&"btcusd=5".to_owned()));
}

#[test]
fn a_price_stays_known_when_the_session_in_which_it_came_is_long_over() {
    let mut book = book();
    subscribe(&mut book, 1, -10);
    take(&mut book, 1, &trade(1, 10, "3", "1"), 10);
    subscribe(&mut book, 2, 60);
    reach(&mut book, 1, 70);
    book.end(1);
    for minute in 2..30 {
        reach(&mut book, 2, minute * 60 + 3);
        assert!(samples(&mut book, minute - 1).contains(&"btcusd=3".to_owned()));
    }
}

#[test]
fn a_late_trade_is_the_last_price_and_costs_its_minute() {
    let mut book = book();
    subscribe(&mut book, 1, -10);
    subscribe(&mut book, 2, -10);
    take(&mut book, 1, &trade(1, 10, "3", "1"), 10);
    reach(&mut book, 1, 363);
    let late = trade(2, 150, "4", "1");
    assert_eq!(take(&mut book, 2, &late, 363), EventOutcome::Late);
    reach(&mut book, 2, 423);
    assert_eq!(samples(&mut book, 2), NONE);
    assert!(samples(&mut book, 6).contains(&"btcusd=4".to_owned()));
}
