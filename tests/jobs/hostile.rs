//! An exchange that says whatever it likes: a worker survives all of it, and goes on when the
//! exchange does.

use std::sync::Arc;

use marketlake_entities::database;
use marketlake_entities::records::job_runs::JobRunState;
use marketlake_feeds::{Cryptowatch, DEFAULT_PAUSE, Feed, MAX_BAN};
use marketlake_jobs::{IngestMinute, Job, PlannedSlot, Runner, Source, slots};
use marketlake_model::Millis;
use tokio_util::sync::CancellationToken;

use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::exchange::{Answer, Exchange};

/// Numbers that no arithmetic bears.
const ODD: [&str; 12] = [
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775807",
    "99999999999",
    "-1",
    "-9223372036854775808",
    "1e308",
    "NaN",
    "",
    "0x10",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
];

fn good() -> Answer {
    Answer::tickers(&[("A", "1")])
}

/// Answers that are no prices, or come with headers that are no numbers.
fn hostile() -> Vec<Answer> {
    let mut answers = Vec::new();
    for text in ODD {
        answers.push(Answer::status(429, text).header("retry-after", text));
        answers.push(Answer::status(418, text).header("retry-after", text));
        answers.push(Answer::status(503, text).header("retry-after", text));
        answers.push(good().header("x-mbx-used-weight-1m", text));
        answers.push(Answer::tickers(&[(text, text)]));
        answers.push(Answer::ok(format!(
            r#"[{{"symbol":"B","lastPrice":{text},"volume":{text}}}]"#
        )));
    }
    for body in [
        String::new(),
        "null".to_owned(),
        "[".repeat(100_000),
        "[]".to_owned(),
        r#"{"code":-1,"msg":null}"#.to_owned(),
        format!(r#"{{"error":"{}"}}"#, "y".repeat(1 << 20)),
    ] {
        answers.push(Answer::ok(body));
    }
    answers.push(Answer::tickers(&[("x".repeat(1 << 20).as_str(), "1")]));
    answers.push(Answer::tickers(&[("C", "9".repeat(1 << 20).as_str())]));
    answers.push(good().truncated());
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pause_that_is_asked_for_is_longer_than_an_exchange_can_mean() {
    for text in ODD {
        for status in [429, 418] {
            let answer = Answer::status(status, "").header("retry-after", text);
            let exchange = Exchange::with([answer]).await;
            let feed = exchange.polled("binance", None);
            let error = feed.samples(Millis(0).minute()).await.unwrap_err();
            let pause = error.pause().unwrap();
            assert!(pause <= DEFAULT_PAUSE, "{status} {text}: {pause:?}");
        }
    }
    let ban = Answer::status(418, "").header("retry-after", "259200");
    let exchange = Exchange::with([ban]).await;
    let feed = exchange.polled("binance", None);
    let error = feed.samples(Millis(0).minute()).await.unwrap_err();
    assert_eq!(error.pause(), Some(MAX_BAN));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_answered_once_the_next_good_answer_is_taken() {
    let each = hostile().into_iter().map(async |answer| {
        // As many bad answers as there are attempts for one minute, then a good one.
        let bad = [answer.clone(), answer.clone(), answer];
        let exchange = Exchange::with(bad.into_iter().chain([good()])).await;
        let feed = exchange.polled("binance", None);
        for _ in 0..4 {
            match feed.samples(Millis(0).minute()).await {
                Ok(batch) if exchange.requests().len() > 3 => {
                    assert_eq!(batch.samples.len(), 2);
                    return;
                }
                Ok(_) => (),
                Err(error) => {
                    assert!(error.to_string().chars().count() < 1_000);
                    if let Some(pause) = error.pause() {
                        assert!(pause <= DEFAULT_PAUSE);
                        return;
                    }
                }
            }
        }
        panic!("{:?}", exchange.requests());
    });
    futures::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_absurd_pauses_goes_on_with_the_feeds_that_are_well() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let database = lake.database().clone();
        let mut sources = Vec::new();
        let mut kept = Vec::new();
        for text in ODD {
            let answer = Answer::status(429, text).header("retry-after", text);
            kept.push(Exchange::with([answer]).await);
        }
        kept.push(Exchange::with([good()]).await);
        for exchange in &kept {
            sources.push(Source::whole(exchange.polled("binance", None)));
        }
        let job = Arc::new(IngestMinute::new(Arc::clone(&lake), sources, None));
        let stop = CancellationToken::new();
        let runner = Runner::new(database.clone(), "w".to_owned(), stop.clone());
        let working = {
            let job = Arc::clone(&job);
            tokio::spawn(async move { runner.work(job).await })
        };
        // The same feeds again and again: none of them is polled while its pause lasts.
        for shift in 0..3_i64 {
            let now = database::clock(&database).await.unwrap();
            let slot = Millis(now.minute().start().0 + shift);
            let due = [PlannedSlot::pending(slot)];
            slots::enqueue(&database, job.name(), &due, now)
                .await
                .unwrap();
            eventually("the slot to be done", async || {
                let row = slots::find(&database, job.name(), slot, 0).await.unwrap();
                (row.unwrap().state == JobRunState::Done).then_some(())
            })
            .await;
        }
        assert!(!working.is_finished());
        let requests: Vec<usize> = kept
            .iter()
            .map(|exchange| exchange.requests().len())
            .collect();
        assert_eq!(requests.iter().max(), Some(&3), "{requests:?}");
        stop.cancel();
        working.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_no_cursor_and_kinds_without_end_are_bounded() {
    let cursor = "c".repeat(1 << 20);
    let body =
        format!(r#"{{"result":{{"market:a:b":1}},"cursor":{{"last":"{cursor}","hasMore":true}}}}"#);
    let exchange = Exchange::with([Answer::ok(body)]).await;
    let url = exchange.url.parse().unwrap();
    let feed = Cryptowatch::new(url, None, vec![], None).unwrap();
    let error = feed
        .samples(Millis(0).minute())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cursor.last: expected at most 1000 bytes, got 1048576"),
        "{}",
        &error[..200.min(error.len())]
    );
    let kinds: Vec<String> = (0..5_000).map(|n| format!(r#""kind{n}:a:b":1"#)).collect();
    let body = format!(r#"{{"result":{{"market:a:b":1,{}}}}}"#, kinds.join(","));
    let exchange = Exchange::with([Answer::ok(body)]).await;
    let url = exchange.url.parse().unwrap();
    let feed = Cryptowatch::new(url, None, vec![], None).unwrap();
    let batch = feed.samples(Millis(0).minute()).await.unwrap();
    assert!(batch.other_kinds.len() <= 21, "{}", batch.other_kinds.len());
    assert_eq!(batch.other_kinds.values().sum::<u64>(), 5_000);
}
