//! Cryptowatch: pages, allowance, kinds, and everything that can be wrong with an answer.

use marketlake_feeds::{Batch, Cryptowatch, Feed, FeedError};

use super::{TIMEOUT, kept, rejected, without_address};
use crate::support::exchange::{Answer, Exchange};
use crate::support::samples::start;

async fn fetch(exchange: &Exchange) -> Result<Batch, FeedError> {
    let feed = Cryptowatch::new(exchange.url.parse().unwrap(), None, vec![], TIMEOUT).unwrap();
    feed.samples(start()).await
}

async fn error_of(answers: impl IntoIterator<Item = Answer>) -> (String, Vec<String>) {
    let exchange = Exchange::with(answers).await;
    let error = fetch(&exchange).await.unwrap_err();
    (without_address(&error, &exchange.url), exchange.requests())
}

fn page(entries: &str, cursor: &str) -> Answer {
    let allowance = r#""allowance":{"cost":0.015,"remaining":9.71,"upgrade":"x"}"#;
    Answer::ok(format!(
        r#"{{"result":{{{entries}}},"cursor":{cursor},{allowance}}}"#
    ))
}

const LAST: &str = r#"{"last":"z","hasMore":false}"#;

#[tokio::test]
async fn all_pages_are_asked_for_and_other_kinds_are_counted() {
    let exchange = Exchange::with([
        page(
            r#""market:binance:hottry":0.06076,"index:kraken-futures:cf-in-bchusd":327.13"#,
            r#"{"last":"a b","hasMore":true}"#,
        ),
        page(
            r#""market:gateio:HOTTRY":3.2e-7,"index:x:y":1,"market:dead:pair":0"#,
            LAST,
        ),
    ])
    .await;
    let batch = fetch(&exchange).await.unwrap();
    assert_eq!(
        kept(&batch),
        [
            "binance:hottry=0.06076",
            "dead:pair=0",
            "gateio:hottry=0.00000032"
        ]
    );
    assert_eq!(
        batch.other_kinds.into_iter().collect::<Vec<_>>(),
        [("index".to_owned(), 2)]
    );
    assert_eq!(
        exchange.requests(),
        ["/markets/prices", "/markets/prices?cursor=a+b"]
    );
}

#[tokio::test]
async fn bad_entries_are_counted_with_their_reason_and_good_ones_kept() {
    let entries = r#""market:a:good":1,"market:a:text":"abc","market:a:null":null,"market:a:negative":-1,
        "market:a:huge":1e99,"market:a:long":1.23456789012345678901,"market:a:good":2,"nokind":1,"market:a:list":[1]"#;
    let exchange = Exchange::with([page(entries, LAST)]).await;
    let batch = fetch(&exchange).await.unwrap();
    assert_eq!(kept(&batch), ["a:good=1"]);
    assert_eq!(batch.rejected, 8);
    assert_eq!(
        rejected(&batch),
        [
            "market:a:text: expected a decimal number, got \"abc\"",
            "market:a:null: expected a decimal number, got \"null\"",
            "market:a:negative: expected a price of zero or more, got -1",
            "market:a:huge: 1e99 does not fit: expected at most 18 digits, between 1e-30 and 1e30",
            "market:a:long: 1.23456789012345678901 does not fit: expected at most 18 digits, \
             between 1e-30 and 1e30",
            "market:a:good: the same metric came earlier in this answer",
            "nokind: expected a key of the form kind:exchange:pair",
            "market:a:list: expected a decimal number, got \"[1]\"",
        ]
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_no_json_is_asked_for_again() {
    let whole = page(r#""market:a:one":1"#, LAST);
    for bad in [
        Answer::ok(r#"{"result":{"market:a:one":1"#),
        Answer::ok(r#"{"result":{"market:a:one":NaN}}"#),
        Answer::ok("<html>busy</html>"),
        Answer::ok(r#"{"result":"#).truncated(),
        Answer::status(503, "busy"),
        Answer::ok("").after(TIMEOUT.unwrap() * 3),
    ] {
        let exchange = Exchange::with([bad, whole.clone()]).await;
        assert_eq!(kept(&fetch(&exchange).await.unwrap()), ["a:one=1"]);
        assert_eq!(exchange.requests().len(), 2);
    }
}

#[tokio::test]
async fn what_stays_bad_is_an_error_that_says_what_was_wrong() {
    let (error, requests) = error_of([Answer::status(500, "oops")]).await;
    assert_eq!(
        (error.as_str(), requests.len()),
        ("URL/markets/prices answered 500: oops", 3)
    );
    let (error, requests) = error_of([Answer::ok("no").after(TIMEOUT.unwrap() * 3)]).await;
    assert_eq!(
        (error.as_str(), requests.len()),
        ("no answer from URL/markets/prices within 1.5 s", 3)
    );
    let (error, _) = error_of([Answer::ok(r#"{"result":{"#)]).await;
    assert!(
        error.starts_with("cannot read the answer of URL/markets/prices: EOF while parsing"),
        "{error}"
    );
    let (error, requests) = error_of([page("", LAST)]).await;
    assert_eq!(
        error,
        "URL/markets/prices returned no usable sample (0 entries rejected)"
    );
    assert_eq!(requests.len(), 1);
    let (error, _) = error_of([page(
        r#""market:a:one":1"#,
        r#"{"last":"a","hasMore":true}"#,
    )])
    .await;
    assert!(error.ends_with("the cursor stays at \"a\""), "{error}");
    let (error, requests) =
        error_of([Answer::status(404, r#"{"error":"Instrument not found"}"#)]).await;
    assert_eq!((error.contains("answered 404"), requests.len()), (true, 1));
}

#[tokio::test]
async fn a_used_up_allowance_is_not_asked_against() {
    for refusal in [
        Answer::status(429, r#"{"error":"Out of allowance"}"#).header("retry-after", "120"),
        Answer::ok(r#"{"error":"Out of allowance"}"#),
    ] {
        let exchange = Exchange::with([refusal]).await;
        let feed = Cryptowatch::new(exchange.url.parse().unwrap(), None, vec![], TIMEOUT).unwrap();
        let error = feed.samples(start()).await.unwrap_err();
        assert!(error.pause().unwrap().as_secs() >= 120, "{error}");
        feed.samples(start()).await.unwrap_err();
        assert_eq!(exchange.requests().len(), 1);
    }
}

#[tokio::test]
async fn the_key_is_sent_and_markets_are_chosen() {
    let exchange = Exchange::with([page(r#""market:a:one":1,"market:b:one":2"#, LAST)]).await;
    let markets = vec!["b".to_owned()];
    let feed = Cryptowatch::new(
        exchange.url.parse().unwrap(),
        Some("secret"),
        markets,
        TIMEOUT,
    )
    .unwrap();
    assert_eq!(kept(&feed.samples(start()).await.unwrap()), ["b:one=2"]);
    assert_eq!(exchange.keys(), [Some("secret".to_owned())]);
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let feed = Cryptowatch::new(
        "http://127.0.0.1:1/".parse().unwrap(),
        None,
        vec![],
        TIMEOUT,
    )
    .unwrap();
    let error = feed.samples(start()).await.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot reach http://127.0.0.1:1/markets/prices: Connection refused"),
        "{error}"
    );
}
