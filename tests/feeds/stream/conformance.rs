//! Properties that the feed of every exchange has.

use std::time::Duration;

use futures::future::join_all;

use super::cases::{CASES, Case};
use super::{NEXT, NEXT_VALUES, Rig, Setup, TRADES, VALUES, minute_of, silent, stays, trade};
use crate::feeds::kept;
use crate::support::eventually;
use crate::support::exchange::{Answer, Exchange};
use crate::support::stream_exchange::{Script, Step};

#[tokio::test]
async fn a_minute_has_the_exact_values_of_its_trades() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        // Nothing of the other pair, whose price is not known.
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        assert_eq!(
            rig.exchange.rest.requests(),
            [case.protocol().listings_path()]
        );
    }
}

#[tokio::test]
async fn trades_just_beside_a_minute_are_of_the_minutes_before_and_after_it() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let trades = [
            trade(1, -1, "7", "7"),
            trade(2, 0, "2", "0.5"),
            trade(3, 59_999, "3", "0.25"),
            trade(4, 60_000, "9", "9"),
        ];
        rig.deliver(&case.messages(&case.active(), &trades)).await;
        let values = ["3", "0.75", "3", "2", "2"];
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", values));
        let values = ["9", "9", "9", "9", "1"];
        assert_eq!(rig.values(1).await, minute_of(case, "btcusdt", values));
    }
}

#[tokio::test]
async fn a_quiet_pair_has_its_last_price_and_no_volume_once_a_price_is_known() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let active = [trade(1, 10_000, "100", "1"), trade(2, 75_000, "99.5", "1")];
        let active = case.messages(&case.active(), &active);
        let quiet = case.messages(&case.quiet(), &[trade(1, 70_000, "5.5", "2")]);
        rig.deliver(&active[..1]).await;
        let values = ["100", "1", "100", "100", "1"];
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", values));
        rig.deliver(&quiet).await;
        rig.deliver(&active[1..]).await;
        let both = [
            minute_of(case, "btcusdt", ["99.5", "1", "99.5", "99.5", "1"]),
            minute_of(case, "ethusdt", ["5.5", "2", "5.5", "5.5", "1"]),
        ];
        assert_eq!(rig.values(1).await, both.concat());
        let both = [
            minute_of(case, "btcusdt", ["99.5", "0", "99.5", "99.5", "0"]),
            minute_of(case, "ethusdt", ["5.5", "0", "5.5", "5.5", "0"]),
        ];
        assert_eq!(rig.values(2).await, both.concat());
    }
}

#[tokio::test]
async fn a_pair_that_is_not_traded_has_the_price_of_the_polled_feed() {
    let prices = Answer::tickers(&[("BTCUSDT", "100"), ("ETHUSDT", "5")]);
    let prices = Exchange::with([prices]).await;
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.prices = Some(prices.polled("binance", None));
        let rig = setup.start().await;
        rig.ready(0).await;
        let both = [
            minute_of(case, "btcusdt", ["100", "0", "100", "100", "0"]),
            minute_of(case, "ethusdt", ["5", "0", "5", "5", "0"]),
        ];
        let both = both.concat();
        // They count from the minute in which they come.
        let mut offset = -1;
        eventually(case.name, async || {
            offset += 1;
            let batch = rig.minute(offset).await.ok()?;
            (kept(&batch) == both).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_minute_with_a_gap_is_left_out_and_the_next_whole_one_is_not() {
    for case in &CASES {
        let rig = Rig::start(case).await;
        let trades = [TRADES[0], TRADES[2], NEXT];
        let messages = case.messages(&case.active(), &trades);
        rig.deliver(&messages[..1]).await;
        rig.at(30_000);
        rig.exchange.play(0, vec![Step::DropTcp]).await;
        rig.exchange.connections(2).await;
        rig.ready(1).await;
        rig.deliver(&messages[1..2]).await;
        if case.reports_trades() {
            let error = rig.minute(0).await.unwrap_err().to_string();
            let name = case.name;
            assert!(error.contains("no pair was connected"), "{name}: {error}");
        } else {
            // Candles have the exchange's own totals.
            let values = ["99.75", "1", "100.5", "99.75", "2"];
            assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", values));
        }
        rig.deliver(&messages[2..]).await;
        assert_eq!(rig.values(1).await, minute_of(case, "btcusdt", NEXT_VALUES));
    }
}

#[tokio::test]
async fn trades_in_any_order_give_the_same_minute() {
    for case in &CASES {
        for order in [[2, 1, 0], [1, 0, 2], [2, 0, 1]] {
            let rig = Rig::start(case).await;
            let messages = case.messages(&case.active(), &TRADES);
            rig.deliver(&order.map(|index: usize| messages[index].clone()))
                .await;
            assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        }
    }
}

/// A feed whose first connection was replaced at the 30th second, after some messages on it.
async fn replaced(case: &'static Case, before: &[(i64, String)]) -> Rig {
    let mut setup = Setup::new(case);
    setup.timings.handover = Duration::from_secs(2);
    if case.ending.is_none() {
        setup.limits.max_age = Duration::from_secs(6);
    }
    let rig = setup.start().await;
    rig.ready(0).await;
    rig.deliver(before).await;
    rig.at(30_000);
    if let Some(ending) = case.ending {
        rig.exchange.send(ending).await;
    }
    rig.exchange.connections(2).await;
    rig.ready(1).await;
    // The next connection counts from 5 seconds after its first event: the one before it must have
    // come so far.
    rig.at(36_000);
    rig.tick().await;
    assert!(
        rig.exchange.closed(0).await,
        "{}: no Close frame",
        case.name
    );
    let log = rig.exchange.log();
    let subscribed = log
        .iter()
        .rposition(|entry| *entry == ("heard", 1))
        .unwrap();
    let closed = log
        .iter()
        .position(|entry| *entry == ("closed", 0))
        .unwrap();
    assert!(subscribed < closed, "{}: {log:?}", case.name);
    rig
}

#[tokio::test]
async fn an_announced_or_reached_end_of_a_connection_loses_no_minute() {
    join_all(CASES.iter().map(loses_no_minute)).await;
}

async fn loses_no_minute(case: &'static Case) {
    let trades = [TRADES[0], TRADES[1], TRADES[2], NEXT];
    let messages = case.messages(&case.active(), &trades);
    let rig = replaced(case, &messages[..2]).await;
    rig.deliver(&messages[2..3]).await;
    assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
    rig.deliver(&messages[3..]).await;
    assert_eq!(rig.values(1).await, minute_of(case, "btcusdt", NEXT_VALUES));
}

#[tokio::test]
async fn trades_that_come_again_on_the_next_connection_count_once() {
    join_all(CASES.iter().map(count_once)).await;
}

async fn count_once(case: &'static Case) {
    let messages = case.messages(&case.active(), &TRADES);
    let rig = replaced(case, &messages[..2]).await;
    rig.deliver(&messages).await;
    rig.deliver(&messages).await;
    assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_replaced() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.limits.idle_timeout = Duration::from_millis(300);
        setup.only_once();
        let rig = setup.start().await;
        rig.ready(0).await;
        rig.exchange.connections(2).await;
        rig.error("no data for 0.3 s").await;
    }
}

#[tokio::test]
async fn an_error_says_why_no_symbol_is_subscribed() {
    for case in &CASES {
        let answers = case.answers;
        let refused = [case.active(), case.quiet(), case.clock()];
        let refuse = Script::accept(move |request| answers(request, &refused), Vec::new());
        for (script, reason) in [
            (refuse, case.refusal),
            (silent(), "no acknowledgement came"),
        ] {
            let mut setup = Setup::new(case);
            setup.scripts = vec![script];
            let rig = setup.start().await;
            let error = rig.error(reason).await;
            let part = "none of 3 symbols was subscribed: ";
            assert!(error.contains(part), "{}: {error}", case.name);
        }
    }
}

#[tokio::test]
async fn a_symbol_that_is_refused_does_not_stop_the_others() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        let refused = [case.quiet()];
        let answers = case.answers;
        let refuse = move |request: &str| answers(request, &refused);
        setup.scripts = vec![Script::accept(refuse, Vec::new())];
        // Its refusals name no symbol.
        if case.name == "binance" {
            setup.limits.symbols_per_request = 1;
        }
        let is_repeated = case.protocol().refuses_whole_requests();
        let again = usize::from(is_repeated && setup.limits.symbols_per_request > 1);
        let rig = setup.start().await;
        rig.ready_after(0, rig.requests + again).await;
        rig.deliver(&case.messages(&case.quiet(), &TRADES)).await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        assert_eq!(rig.exchange.attempts(), 1, "{}", case.name);
    }
}

#[tokio::test]
async fn a_symbol_that_is_not_acknowledged_does_not_stop_the_others() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        let answers = case.answers;
        let quiet = case.quiet().to_lowercase();
        let acknowledge = move |request: &str| match request.to_lowercase().contains(&quiet) {
            true => Vec::new(),
            false => answers(request, &[]),
        };
        setup.scripts = vec![Script::accept(acknowledge, Vec::new())];
        setup.limits.symbols_per_request = 1;
        setup.timings.subscribe_timeout = Duration::from_millis(200);
        let rig = setup.start().await;
        rig.ready(0).await;
        rig.deliver(&case.messages(&case.quiet(), &TRADES)).await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        stays(case.name, || rig.exchange.attempts() == 1).await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
    }
}

#[tokio::test]
async fn a_feed_that_ends_closes_its_connection() {
    for case in &CASES {
        let Rig { exchange, feed, .. } = Rig::start(case).await;
        drop(feed);
        assert!(exchange.closed(0).await, "{}: no Close frame", case.name);
        assert_eq!(exchange.attempts(), 1, "{}", case.name);
    }
}

#[tokio::test]
async fn a_connection_that_the_exchange_closes_is_replaced() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.only_once();
        let rig = setup.start().await;
        rig.ready(0).await;
        rig.exchange
            .play(0, vec![Step::Close(1012, "service restart")])
            .await;
        rig.exchange.connections(2).await;
        rig.error("the exchange closed the connection: 1012 service restart")
            .await;
    }
}

#[tokio::test]
async fn a_flood_does_not_change_a_minute() {
    for case in &CASES {
        let messages = case.messages(&case.active(), &TRADES);
        let flood = Step::SendRepeated {
            text: messages[0].1.clone(),
            count: 50_000,
        };
        let rig = Rig::start(case).await;
        rig.at(messages[0].0);
        rig.exchange.play(0, vec![flood]).await;
        rig.deliver(&messages[1..]).await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        assert_eq!(rig.exchange.attempts(), 1, "{}", case.name);
    }
}

#[tokio::test]
async fn an_exchange_is_told_who_connects() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.contact = Some("ops@example.com".to_owned());
        let rig = setup.start().await;
        rig.ready(0).await;
        let version = env!("CARGO_PKG_VERSION");
        let agent = format!("marketlake/{version} (+ops@example.com)");
        assert_eq!(rig.exchange.user_agent(0), agent);
    }
}
