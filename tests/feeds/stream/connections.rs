//! Connections that are refused or ended at once, and lists of pairs that cannot be read or change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;

use super::cases::CASES;
use super::{Setup, TRADES, VALUES, accept, minute_of, stays};
use crate::support::eventually;
use crate::support::exchange::Answer;
use crate::support::stream_exchange::Script;

#[tokio::test]
async fn a_pause_that_the_exchange_requests_is_obeyed() {
    for status in [429, 418] {
        let mut setup = Setup::new(&CASES[0]);
        setup.scripts = vec![Script::refuse(status, Some("3600"))];
        let rig = setup.start().await;
        rig.error(&format!("answered {status}")).await;
        stays("one attempt", || rig.exchange.attempts() == 1).await;
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        let refuse = |status| Script::refuse(status, None);
        setup.scripts = vec![refuse(403), refuse(503), accept(case, Vec::new())];
        let rig = setup.start().await;
        rig.ready(0).await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        assert_eq!(rig.exchange.attempts(), 3, "{}", case.name);
    }
}

#[tokio::test]
async fn an_error_says_which_status_refused_the_connection() {
    for status in [403, 503] {
        let mut setup = Setup::new(&CASES[0]);
        setup.scripts = vec![Script::refuse(status, None)];
        let rig = setup.start().await;
        let error = rig.error(&format!("answered {status}")).await;
        assert!(error.contains("last error: ws://"), "{error}");
    }
}

#[tokio::test]
async fn tls_against_a_port_that_speaks_none_is_an_error_and_tried_again() {
    let mut setup = Setup::new(&CASES[0]);
    setup.stream_url = "wss://HOST/stream".to_owned();
    let rig = setup.start().await;
    rig.error("the connection to wss://").await;
    eventually("a third attempt", async || {
        (rig.exchange.attempts() >= 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let mut setup = Setup::new(&CASES[0]);
    setup.stream_url = "ws://127.0.0.1:1/stream".to_owned();
    let rig = setup.start().await;
    let error = rig
        .error("the connection to ws://127.0.0.1:1/stream failed")
        .await;
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_handshake_that_is_not_answered_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut setup = Setup::new(&CASES[0]);
    setup.stream_url = format!("ws://{}/stream", silent.local_addr().unwrap());
    setup.timings.connect_timeout = Duration::from_millis(200);
    let rig = setup.start().await;
    rig.error("the handshake took longer than 0.2 s").await;
}

#[tokio::test]
async fn a_list_of_pairs_that_cannot_be_read_is_read_again() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.rest = vec![
            Answer::ok("<html>busy</html>"),
            Answer::ok((case.listings)(&[])),
            Answer::status(500, "oops"),
            setup.listings(),
        ];
        let rig = setup.start().await;
        rig.ready(0).await;
        rig.deliver(&case.messages(&case.active(), &TRADES)).await;
        assert_eq!(rig.values(0).await, minute_of(case, "btcusdt", VALUES));
        let path = case.protocol().listings_path();
        assert_eq!(rig.exchange.rest.requests(), [path; 4]);
    }
}

#[tokio::test]
async fn an_error_says_why_the_list_of_pairs_cannot_be_read() {
    for (answer, part) in [
        (
            Answer::ok("<html>busy</html>"),
            "cannot read the answer of http://",
        ),
        (Answer::status(500, "oops"), "answered 500: oops"),
    ] {
        let mut setup = Setup::new(&CASES[0]);
        setup.rest = vec![answer];
        let rig = setup.start().await;
        rig.error(part).await;
        assert_eq!(rig.exchange.attempts(), 0);
    }
}

#[tokio::test]
async fn a_pause_before_the_next_list_of_pairs_is_obeyed() {
    let mut setup = Setup::new(&CASES[0]);
    setup.rest = vec![Answer::status(429, "too many").header("retry-after", "3600")];
    let rig = setup.start().await;
    rig.error("rate-limited for 3600 s").await;
    stays("one request", || rig.exchange.rest.requests().len() == 1).await;
}

#[tokio::test]
async fn a_pair_that_one_list_lacks_is_kept() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        let all = setup.listings();
        let pair = setup.pairs.pop().unwrap();
        setup.rest = vec![all.clone(), setup.listings(), all];
        setup.pairs.push(pair);
        setup.timings.listings_interval = Duration::from_millis(100);
        let rig = setup.start().await;
        rig.ready(0).await;
        eventually("the next lists", async || {
            (rig.exchange.rest.requests().len() >= 4).then_some(())
        })
        .await;
        rig.deliver(&case.messages(&case.quiet(), &TRADES)).await;
        assert_eq!(rig.values(0).await, minute_of(case, "ethusdt", VALUES));
        assert_eq!(rig.exchange.attempts(), 1, "{}", case.name);
    }
}

#[tokio::test]
async fn a_symbol_that_is_refused_is_requested_again() {
    for case in &CASES {
        let mut setup = Setup::new(case);
        setup.limits.symbols_per_request = 1;
        setup.timings.retry_interval = Duration::from_millis(300);
        let (answers, refused) = (case.answers, [case.quiet()]);
        let quiet = case.quiet().to_lowercase();
        let was_refused = AtomicBool::new(false);
        let refuse_once = move |request: &str| {
            let is_quiet = request.to_lowercase().contains(&quiet);
            match is_quiet && !was_refused.swap(true, Ordering::SeqCst) {
                true => answers(request, &refused),
                false => answers(request, &[]),
            }
        };
        setup.scripts = vec![Script::accept(refuse_once, Vec::new())];
        let rig = setup.start().await;
        rig.ready_after(0, rig.requests + 1).await;
        rig.deliver(&case.messages(&case.quiet(), &TRADES)).await;
        assert_eq!(rig.values(0).await, minute_of(case, "ethusdt", VALUES));
        assert_eq!(rig.exchange.attempts(), 1, "{}", case.name);
    }
}

#[tokio::test]
async fn a_connection_that_ends_soon_is_not_replaced_at_once() {
    for case in CASES.iter().filter(|case| case.ending.is_some()) {
        let mut setup = Setup::new(case);
        setup.timings.initial_backoff = Duration::from_secs(1_000_000);
        setup.timings.max_backoff = Duration::from_secs(1_000_000);
        let rig = setup.start().await;
        rig.ready(0).await;
        rig.exchange.send(case.ending.unwrap()).await;
        // The pause is a random share of that.
        stays("one attempt", || rig.exchange.attempts() == 1).await;
        // It is read on until then.
        assert_eq!(rig.exchange.open(), [0], "{}", case.name);
    }
}
