//! Connections that are open and send no data: traps 1, 2 and 4, and what they cost.

use std::time::Duration;

use futures::future::join_all;

use super::cases::{CASES, Case};
use super::traps::UNKNOWN;
use super::{NEXT, NEXT_VALUES, Rig, Setup, TRADES, VALUES, accept, minute_of};
use crate::support::eventually;
use crate::support::stream_exchange::Step;

// See also `conformance::a_connection_that_falls_silent_is_replaced`.
#[tokio::test]
async fn trap_01_messages_without_data_do_not_keep_a_dead_connection_alive() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.limits.idle_timeout = Duration::from_millis(300);
        setup.only_once();
        let rig = setup.start().await;
        rig.ready(0).await;
        eventually(case.name, async || {
            for text in ["pong", UNKNOWN] {
                let step = Step::Send(text.to_owned());
                rig.exchange.play(0, vec![step]).await;
            }
            (rig.exchange.attempts() > 1).then_some(())
        })
        .await;
        rig.error("no data for 0.3 s").await;
    }
}

#[tokio::test]
async fn trap_01_a_connection_without_trades_is_replaced_whatever_else_it_sends() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.timings.data_timeout = Duration::from_millis(300);
        let rig = setup.start().await;
        rig.ready(0).await;
        eventually(case.name, async || {
            for text in case.signs_of_life() {
                rig.exchange.play(0, vec![Step::Send(text)]).await;
            }
            (rig.exchange.attempts() > 1).then_some(())
        })
        .await;
        rig.exchange.connections(2).await;
        let is_polite = rig.exchange.closed(0).await;
        assert!(is_polite, "{}: no Close frame", case.name);
        // The next one is there before.
        let log = rig.exchange.log();
        let position = |entry| log.iter().position(|other| *other == entry);
        let (opened, closed) = (position(("opened", 1)), position(("closed", 0)));
        assert!(opened < closed, "{}: {log:?}", case.name);
    }
}

#[tokio::test]
async fn trap_01_a_connection_that_is_alive_and_sends_no_trades_gives_no_minute_out() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let messages = case.messages(&case.active(), &TRADES);
        rig.deliver(&messages[..1]).await;
        rig.at(90_000);
        for text in case.signs_of_life() {
            rig.exchange.broadcast(&text).await;
        }
        rig.exchange.broadcast(UNKNOWN).await;
        let error = rig.given_out(0).await.unwrap_err().to_string();
        assert!(
            error.contains("no pair was connected"),
            "{}: {error}",
            case.name
        );
        assert_eq!(rig.exchange.open(), [0], "{}", case.name);
    }
}

#[tokio::test]
async fn trap_01_a_minute_in_whose_middle_a_connection_stalls_is_left_out_and_the_next_is_not() {
    join_all(CASES.iter().map(stalls)).await;
}

/// The first connection stalls after one trade, until it is given up: the next trade is lost.
async fn stalls(case: &'static Case) {
    let mut setup = Setup::new(case);
    setup.limits.idle_timeout = Duration::from_secs(2);
    let rig = setup.start().await;
    rig.ready(0).await;
    let trades = [TRADES[0], TRADES[1], TRADES[2], NEXT];
    let messages = case.messages(&case.active(), &trades);
    rig.deliver(&messages[..1]).await;
    rig.at(30_000);
    rig.exchange.connections(2).await;
    rig.ready(1).await;
    rig.deliver(&messages[2..3]).await;
    if case.reports_trades() {
        rig.is_left_out(0).await;
    } else {
        // Candles have the exchange's own totals.
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
    }
    rig.deliver(&messages[3..]).await;
    assert_eq!(rig.values(1).await, minute_of(case, "btcusdt", NEXT_VALUES));
}

#[tokio::test]
async fn trap_01_a_minute_whose_trades_are_held_up_is_left_out_until_they_have_come() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let messages = case.messages(&case.active(), &TRADES);
        rig.deliver(&messages[..1]).await;
        rig.at(65_000);
        let error = rig.given_out(0).await.unwrap_err().to_string();
        assert!(
            error.contains("no pair was connected"),
            "{}: {error}",
            case.name
        );
        rig.deliver(&messages[1..]).await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
    }
}

#[tokio::test]
async fn trap_02_pings_do_not_keep_a_dead_connection_alive() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.limits.idle_timeout = Duration::from_millis(300);
        let pings = Step::Pings(Duration::from_millis(1));
        setup.scripts = vec![accept(case, vec![Step::WaitFor(setup.requests()), pings])];
        setup.only_once();
        let rig = setup.start().await;
        rig.exchange.connections(2).await;
        rig.error("no data for 0.3 s").await;
    }
}

#[tokio::test]
async fn trap_04_a_quiet_market_is_not_a_dead_connection() {
    join_all(CASES.iter().map(stays_connected)).await;
}

/// Sends one heartbeat, or the same trade, again and again, for longer than silence is allowed.
async fn stays_connected(case: &'static Case) {
    let mut setup = Setup::new(case);
    setup.limits.idle_timeout = Duration::from_secs(1);
    let rig = setup.start().await;
    rig.ready(0).await;
    rig.at(TRADES[0].at);
    let trade = case.messages(&case.active(), &TRADES[..1]).remove(0).1;
    let alive = case.heartbeat.map_or(trade, str::to_owned);
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        rig.exchange.send(alive.as_str()).await;
    }
    assert_eq!(rig.exchange.attempts(), 1, "{}", case.name);
}
