//! `ingest-minute` on good and bad feeds, through the program.

use chrono::Utc;
use marketlake_model::Millis;

use crate::support::base::{Base, on_both};
use crate::support::exchange::{Answer, Exchange};
use crate::support::program::Program;
use crate::support::samples::last_minute;

fn on(base: &Base, exchange: &Exchange) -> Program {
    Program::on(base).with(
        "MARKETLAKE_FEEDS",
        format!("[{{kind=\"binance\",base_url=\"{}\"}}]", exchange.url),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_was_wrong_and_keeps_the_good_samples() {
    on_both(async |base: Base| {
        let exchange = Exchange::with([Answer::tickers(&[("GOOD", "1.50"), ("BAD", "NaN")])]).await;
        let program = on(&base, &exchange);
        let slot = last_minute().await.to_string();
        let out = program.ok(&["run", "ingest-minute", "--slot", &slot]).await;
        assert!(
            out.starts_with(&format!("ingest-minute {slot}: done {{")),
            "{out}"
        );
        assert!(
            out.contains(r#""samples":2"#) && out.contains(r#""rejected":1"#),
            "{out}"
        );
        assert!(
            out.contains("price: expected a decimal number, got \\\"NaN\\\""),
            "{out}"
        );
        let again = program.ok(&["run", "ingest-minute", "--slot", &slot]).await;
        assert!(again.contains("already done"), "{again}");
        assert_eq!(
            (exchange.requests().len(), base.object_files().len()),
            (1, 1)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_fails_leaves_no_object_and_an_error_that_names_it() {
    on_both(async |base: Base| {
        for bad in [
            Answer::status(503, "busy"),
            Answer::ok("{"),
            Answer::ok("[]"),
            Answer::status(418, "banned"),
        ] {
            let exchange = Exchange::with([bad]).await;
            let slot = last_minute().await.to_string();
            let said = on(&base, &exchange)
                .run(&["run", "ingest-minute", "--slot", &slot])
                .await;
            assert_eq!(said.code, 1, "{said:?}");
            assert!(said.out.contains("failed feed binance: "), "{said:?}");
        }
        assert_eq!(base.object_files().len(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_feed_is_never_asked_for_a_minute_that_ended_long_ago() {
    let base = Base::local().await;
    let exchange = Exchange::with([Answer::tickers(&[("A", "1")])]).await;
    let said = on(&base, &exchange)
        .run(&["run", "ingest-minute", "--slot", "2026-01-01T00:00:00Z"])
        .await;
    assert_eq!(said.code, 1);
    assert!(
        said.out
            .contains("too late: the deadline of the slot was 2026-01-01T00:01:45Z"),
        "{said:?}"
    );
    assert_eq!(exchange.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_that_still_runs_is_waited_for_and_asked_for_once_it_is_over() {
    let base = Base::local().await;
    let exchange = Exchange::with([Answer::tickers(&[("A", "1")])]).await;
    let slot = Millis::from(Utc::now()).minute();
    let said = on(&base, &exchange)
        .run(&["run", "ingest-minute", "--slot", &slot.to_string()])
        .await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains(": done {"), "{said:?}");
    assert!(Millis::from(Utc::now()) >= slot.plus(1).start());
    assert_eq!(exchange.requests().len(), 1);
}
