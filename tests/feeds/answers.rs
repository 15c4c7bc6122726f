//! Answers that hold no data, to all feeds that send requests, histories and polls: pauses, bans,
//! failures, pages for people, and nothing at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use marketlake_feeds::{DEFAULT_PAUSE, Feed, FeedError, HistoryFeed};
use marketlake_model::Sample;

use super::history::cases::RestCase;
use super::history::exchanges::CASES;
use super::history::market::PAIRS;
use super::{TIMEOUT, every_feed, history, poll};
use crate::support::exchange::Answer;
use crate::support::rest_exchange::{RestExchange, RestRequest};
use crate::support::samples::start;

/// Time of an answer, in its header `Date`.
const DATE: &str = "Tue, 24 Nov 2026 10:00:00 GMT";
/// The same in milliseconds.
const DATE_MILLIS: i64 = 1_795_514_400_000;

/// Kind of a feed that sends requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    History,
    Poll,
}

/// The feed of a kind.
enum Requester {
    History(Arc<HistoryFeed>),
    Poll(Arc<dyn Feed>),
}

/// A running exchange and one of its feeds.
struct Rig {
    name: String,
    case: &'static RestCase,
    exchange: RestExchange,
    requester: Requester,
}

/// Runs a check against the history and the poll of every exchange.
async fn conforms(fault: &str, check: impl AsyncFn(Kind, &'static RestCase)) {
    let mut checks = Vec::new();
    for kind in [Kind::History, Kind::Poll] {
        for case in &CASES {
            checks.push((name(kind, case), check(kind, case)));
        }
    }
    every_feed(fault, checks).await;
}

fn name(kind: Kind, case: &RestCase) -> String {
    format!("{kind:?} of {}", case.name)
}

/// A good answer to a request of a kind of feed.
fn good(kind: Kind, case: &RestCase, request: &RestRequest) -> Answer {
    match kind {
        Kind::History => history::respond(case, request, |_, rows| rows),
        Kind::Poll => poll::respond(poll::cases::case(case.name), request, |tickers| tickers),
    }
}

/// Requests until a feed has what it needs for a minute, if all are answered well.
fn request_count(kind: Kind, case: &RestCase) -> usize {
    // Kraken's tickers have no base and quote.
    1 + usize::from(kind == Kind::Poll && case.name == "kraken")
}

impl Rig {
    /// An exchange that gives one answer to every request.
    async fn always(kind: Kind, case: &'static RestCase, answer: Answer) -> Self {
        Self::start(kind, case, move |_, _| answer.clone()).await
    }

    /// An exchange that gives one answer to the first request, and good ones to all others.
    async fn once(kind: Kind, case: &'static RestCase, first: Answer) -> Self {
        Self::start(kind, case, move |request, number| match number {
            0 => first.clone(),
            _ => good(kind, case, request),
        })
        .await
    }

    async fn start(
        kind: Kind,
        case: &'static RestCase,
        answer: impl Fn(&RestRequest, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let exchange = RestExchange::start(answer).await;
        let url = exchange.url.clone();
        Self::of(kind, case, exchange, &url, None)
    }

    /// A feed that reaches its exchange by a URL.
    fn of(
        kind: Kind,
        case: &'static RestCase,
        exchange: RestExchange,
        url: &str,
        contact: Option<&str>,
    ) -> Self {
        let requester = match kind {
            Kind::History => Requester::History(history::feed(case.name, url, contact)),
            Kind::Poll => Requester::Poll(poll::feed(case.name, url, contact)),
        };
        Self {
            name: name(kind, case),
            case,
            exchange,
            requester,
        }
    }

    /// Samples that the feed makes of the answers.
    async fn request(&self) -> Result<Vec<Sample>, FeedError> {
        match &self.requester {
            Requester::History(feed) => {
                let (from, to) = history::span();
                feed.minutes(&history::listing(self.case, &PAIRS[0]), from, to)
                    .await
            }
            Requester::Poll(feed) => Ok(feed.samples(start()).await?.samples),
        }
    }

    /// The error that the feed makes of the answers, and its text.
    async fn error(&self) -> (FeedError, String) {
        match self.request().await {
            Ok(samples) => panic!("{}: {} samples and no error", self.name, samples.len()),
            Err(error) => {
                let text = error.to_string();
                assert!(text.chars().count() < 1_000, "{}: {text}", self.name);
                (error, text)
            }
        }
    }

    /// Checks that the answers are refused as malformed.
    async fn is_malformed(&self) -> String {
        let (error, text) = self.error().await;
        let is_it = matches!(error, FeedError::Malformed { .. });
        assert!(is_it, "{}: {text}", self.name);
        text
    }

    /// The pause that the answers cause, during which no request is sent.
    async fn pause(&self) -> Duration {
        let (error, text) = self.error().await;
        let Some(pause) = error.pause() else {
            panic!("{}: no pause: {text}", self.name);
        };
        let (again, text) = self.error().await;
        let is_shorter = again.pause().is_some_and(|again| again <= pause);
        assert!(is_shorter, "{}: {text}", self.name);
        assert_eq!(self.exchange.requests().len(), 1, "{}", self.name);
        pause
    }
}

#[tokio::test]
async fn a_pause_is_obeyed_for_as_long_as_the_exchange_says() {
    conforms("429 and 418 with Retry-After", async |kind, case| {
        for (status, retry_after, secs) in [
            (429, "7", 7),
            (429, "Tue, 24 Nov 2026 10:02:00 GMT", 120),
            (418, "7200", 7_200),
            (418, "Tue, 24 Nov 2026 12:00:00 GMT", 7_200),
            (429, "99999999999", DEFAULT_PAUSE.as_secs()),
        ] {
            let answer = Answer::status(status, "too many requests")
                .header("date", DATE)
                .header("retry-after", retry_after);
            let rig = Rig::always(kind, case, answer).await;
            let pause = rig.pause().await.as_secs();
            assert_eq!(pause, secs, "{}, {status}: {retry_after}", rig.name);
        }
    })
    .await;
}

#[tokio::test]
async fn a_pause_that_only_the_body_requests_is_obeyed() {
    conforms("too many requests, by the body", async |kind, case| {
        for (status, body) in case.throttled {
            let rig = Rig::always(kind, case, Answer::status(*status, *body)).await;
            // Bybit documents ten minutes after a 403.
            let expected = match status {
                403 => Duration::from_secs(600),
                _ => DEFAULT_PAUSE,
            };
            let pause = rig.pause().await;
            assert_eq!(pause, expected, "{}, {status}: {body}", rig.name);
        }
    })
    .await;
}

#[tokio::test]
async fn a_ban_lasts_until_the_time_that_its_message_names() {
    let case = &CASES[0];
    for kind in [Kind::History, Kind::Poll] {
        for (until, expected) in [
            (DATE_MILLIS + 120_000, Duration::from_secs(120)),
            // Later than any ban.
            (i64::MAX, DEFAULT_PAUSE),
        ] {
            for status in [200, 418] {
                let text = format!("Way too many requests; IP(1.2.3.4) banned until {until}.");
                let body = format!(r#"{{"code":-1003,"msg":"{text}"}}"#);
                let answer = Answer::status(status, body).header("date", DATE);
                let rig = Rig::always(kind, case, answer).await;
                let pause = rig.pause().await;
                assert_eq!(pause, expected, "{}: {status}, {until}", rig.name);
            }
        }
    }
}

#[tokio::test]
async fn a_page_for_people_is_reported_with_its_first_200_characters() {
    conforms("an HTML page with 200", async |kind, case| {
        let page = format!("{:.<200}THE END", "<html>\u{7}\n<body>Just a moment");
        let rig = Rig::always(kind, case, Answer::ok(page)).await;
        let text = rig.is_malformed().await;
        assert!(text.contains("<body>Just a moment"), "{}: {text}", rig.name);
        assert!(!text.contains("THE END"), "{}: {text}", rig.name);
        assert!(!text.contains(char::is_control), "{}: {text:?}", rig.name);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_no_answer_is_an_error() {
    let nested = "[".repeat(100_000);
    conforms("bodies that are no answer", async |kind, case| {
        let nested = nested.as_str();
        let texts = ["", "null", "7", "{", "{}", "\"text\"", "\u{0}", nested];
        let bodies = texts.map(|text| text.as_bytes().to_vec());
        // No UTF-8.
        let bodies = bodies.into_iter().chain([b"[\"\xff\xfe\"]".to_vec()]);
        let checks = bodies.map(async |body| {
            let rig = Rig::always(kind, case, Answer::ok(body)).await;
            rig.is_malformed().await;
        });
        join_all(checks).await;
    })
    .await;
}

#[tokio::test]
async fn a_failure_of_the_exchange_is_reported_in_its_words() {
    conforms("a failure, by the body", async |kind, case| {
        let (status, body, part) = case.failure;
        let rig = Rig::always(kind, case, Answer::status(status, body)).await;
        let (error, text) = rig.error().await;
        assert!(text.contains(part), "{}: {text}", rig.name);
        let is_unknown = matches!(error, FeedError::UnknownSymbol { .. });
        assert!(
            !is_unknown && error.pause().is_none(),
            "{}: {text}",
            rig.name
        );
    })
    .await;
}

#[tokio::test]
async fn a_failure_that_passes_costs_one_request() {
    conforms("a failure that passes", async |kind, case| {
        for first in [
            Answer::ok("[").truncated(),
            Answer::ok(r#"[{"symbol":"BTC"#),
            Answer::ok("<html>Just a moment</html>"),
            Answer::status(500, "<html>Internal Server Error</html>"),
        ] {
            let rig = Rig::once(kind, case, first).await;
            let samples = rig.request().await.unwrap();
            assert!(!samples.is_empty(), "{}", rig.name);
            let requests = rig.exchange.requests().len();
            assert_eq!(requests, 1 + request_count(kind, case), "{}", rig.name);
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_ends_with_the_time_limit() {
    conforms("a stall", async |kind, case| {
        let answer = Answer::ok("[]").after(Duration::from_secs(60));
        let rig = Rig::always(kind, case, answer).await;
        let since = Instant::now();
        let (error, text) = rig.error().await;
        assert!(
            matches!(error, FeedError::Slow { .. }),
            "{}: {text}",
            rig.name
        );
        let (limit, took) = (TIMEOUT.unwrap() * 3, since.elapsed());
        let is_in_time = took < limit + Duration::from_secs(10);
        assert!(is_in_time, "{}: {took:?}", rig.name);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    conforms("a body that breaks off", async |kind, case| {
        let answer = Answer::ok(r#"{"result":"#).truncated();
        let rig = Rig::always(kind, case, answer).await;
        let (error, text) = rig.error().await;
        let is_it = matches!(error, FeedError::Unreachable { .. });
        assert!(is_it, "{}: {text}", rig.name);
    })
    .await;
}

#[tokio::test]
async fn a_redirect_to_another_host_is_named_and_gets_neither_request_nor_key() {
    conforms("a redirect to another host", async |kind, case| {
        let other = RestExchange::start(move |request, _| good(kind, case, request)).await;
        let location = format!("{}/elsewhere", other.url);
        let answer = Answer::status(302, "").header("location", &location);
        let exchange = RestExchange::start(move |_, _| answer.clone()).await;
        let url = exchange.url.replace("http://", "http://user:secret@");
        let rig = Rig::of(kind, case, exchange, &url, None);
        let (error, text) = rig.error().await;
        let is_it = matches!(error, FeedError::Status { status: 302, .. });
        assert!(is_it, "{}: {text}", rig.name);
        let part = "this one leads to 127.0.0.1";
        assert!(
            text.contains(part) && !text.contains("secret"),
            "{}: {text}",
            rig.name
        );
        assert_eq!(other.requests().len(), 0, "{}", rig.name);
        let requests = rig.exchange.requests();
        let are_signed = requests.iter().all(|request| request.has_credentials);
        assert!(!requests.is_empty() && are_signed, "{}", rig.name);
    })
    .await;
}

#[tokio::test]
async fn an_exchange_is_told_who_requests() {
    conforms("header User-Agent", async |kind, case| {
        let exchange = RestExchange::start(move |request, _| good(kind, case, request)).await;
        let url = exchange.url.clone();
        let rig = Rig::of(kind, case, exchange, &url, Some("ops@example.com"));
        rig.request().await.unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!("marketlake/{version} (+ops@example.com)");
        for request in rig.exchange.requests() {
            assert_eq!(request.user_agent, expected, "{}", rig.name);
        }
    })
    .await;
}
