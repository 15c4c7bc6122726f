//! Stream feeds, each against its exchange on loopback.
//!
//! The clock is the test's, and moves with what the exchange sends. Only events prove that a minute
//! is whole: one 5 seconds before its start or earlier, and one 3 seconds after its end or later.
//! Both are trades of a pair of their own (`cases::CLOCK`), so that no minute under test changes:
//! the first comes 10 seconds before the first minute (`Rig::ready`), the last when a minute is
//! requested (`Rig::minute`).

mod agreement;
mod bad_input;
pub mod cases;
mod conformance;
mod connections;
mod messages;
mod recordings;
mod silence;
mod traps;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use marketlake_feeds::SharedPause;
use marketlake_feeds::stream::{StreamFeed, StreamLimits, StreamOptions, StreamTimings};
use marketlake_feeds::{Batch, Feed, FeedError};
use marketlake_model::{Millis, Minute, Sample};

use self::cases::{CLOCK, Case, PAIRS};
use self::messages::Trade;
use super::kept;
use crate::support::eventually;
use crate::support::exchange::Answer;
use crate::support::samples::start;
use crate::support::stream_exchange::{Script, Step, StreamExchange};

/// Time at which a feed starts, in milliseconds after the first minute's start.
const STARTED_AT: i64 = -10_000;
/// Milliseconds after a minute's end at which an event proves that nothing of it is missing.
const SETTLE_TIME: i64 = 3_000;

/// Trades of one minute.
const TRADES: [Trade; 3] = [
    trade(1, 10_000, "100.5", "0.5"),
    trade(2, 20_000, "101.25", "0.25"),
    trade(3, 40_000, "99.75", "0.5"),
];
/// Price, volume, high, low and number of trades of [`TRADES`].
const VALUES: [&str; 5] = ["99.75", "1.25", "101.25", "99.75", "3"];
/// Trade of the second minute.
const NEXT: Trade = trade(4, 70_000, "98", "2");
/// Values of the second minute after [`NEXT`].
const NEXT_VALUES: [&str; 5] = ["98", "2", "98", "98", "1"];

const fn trade(id: u64, at: i64, price: &'static str, quantity: &'static str) -> Trade {
    Trade {
        id,
        at,
        price,
        quantity,
    }
}

/// Samples of a pair's minute, sorted, from its price, volume, high, low and number of trades.
fn minute_of(
    case: &Case,
    pair: &str,
    [price, volume, high, low, trades]: [&str; 5],
) -> Vec<String> {
    let name = format!("{}:{pair}", case.name);
    vec![
        format!("{name}:high={high}"),
        format!("{name}:low={low}"),
        format!("{name}:trades={trades}"),
        format!("{name}:volume={volume}"),
        format!("{name}={price}"),
    ]
}

/// Script of a connection on which everything is acknowledged.
fn accept(case: &Case, steps: Vec<Step>) -> Script {
    let answers = case.answers;
    Script::accept(move |request| answers(request, &[]), steps)
}

/// Script of a connection on which nothing is acknowledged.
fn silent() -> Script {
    Script::accept(|_| Vec::new(), Vec::new())
}

/// Checks for half a second that something does not change.
async fn stays(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        assert!(holds(), "{what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Setup of an exchange and its feed.
struct Setup {
    case: &'static Case,
    /// Minute from which times count.
    origin: Minute,
    /// Base and quote currencies of the pairs that are listed.
    pairs: Vec<(String, String)>,
    /// Answers of the REST API; the list of the pairs where there are none.
    rest: Vec<Answer>,
    scripts: Vec<Script>,
    limits: StreamLimits,
    timings: StreamTimings,
    prices: Option<Arc<dyn Feed>>,
    contact: Option<String>,
    /// Address of the stream, in which `HOST` stands for the exchange's host and port.
    stream_url: String,
}

impl Setup {
    fn new(case: &'static Case) -> Self {
        let owned = |(base, quote): (&str, &str)| (base.to_owned(), quote.to_owned());
        Self {
            case,
            origin: start(),
            pairs: PAIRS.map(owned).to_vec(),
            rest: Vec::new(),
            scripts: vec![accept(case, Vec::new())],
            limits: StreamLimits {
                request_interval: Duration::from_millis(1),
                idle_timeout: Duration::from_secs(60),
                ..case.protocol().limits()
            },
            timings: StreamTimings {
                connect_timeout: Duration::from_secs(1),
                subscribe_timeout: Duration::from_millis(500),
                initial_backoff: Duration::from_millis(10),
                max_backoff: Duration::from_millis(50),
                data_timeout: Duration::from_secs(60),
                handover: Duration::from_millis(200),
                retry_interval: Duration::from_secs(300),
                max_wait: Duration::from_millis(300),
                listings_interval: Duration::from_secs(3_600),
            },
            prices: None,
            contact: None,
            stream_url: "ws://HOST/stream".to_owned(),
        }
    }

    /// Answers the first connection only: later ones never become live, so that the error of the
    /// first one stays the last one.
    fn only_once(&mut self) {
        self.scripts.push(silent());
        self.timings.subscribe_timeout = Duration::from_secs(60);
    }

    /// Pairs that are listed, the clock's included.
    fn listed(&self) -> Vec<(&str, &str)> {
        let pairs = self.pairs.iter().map(|(b, q)| (b.as_str(), q.as_str()));
        pairs.chain([CLOCK]).collect()
    }

    /// Answer of the REST API that lists the pairs.
    fn listings(&self) -> Answer {
        Answer::ok((self.case.listings)(&self.listed()))
    }

    /// Number of requests by which the pairs are subscribed.
    fn requests(&self) -> usize {
        let protocol = self.case.protocol();
        let symbol = |(base, quote)| (self.case.symbol)(base, quote);
        let symbols: Vec<String> = self.listed().into_iter().map(symbol).collect();
        let chunks = symbols.chunks(self.limits.symbols_per_request.max(1));
        let requests: usize = chunks.map(|chunk| protocol.subscribe(1, chunk).len()).sum();
        requests + protocol.preamble().len()
    }

    /// Starts the exchange and the feed.
    async fn start(self) -> Rig {
        let rest = match self.rest.is_empty() {
            true => vec![self.listings()],
            false => self.rest.clone(),
        };
        let requests = self.requests();
        let exchange = StreamExchange::start(rest, self.scripts).await;
        let stream_url = self.stream_url.replace("HOST", &exchange.host);
        let now = Millis(self.origin.start().0 + STARTED_AT);
        let time = Arc::new(AtomicI64::new(now.0));
        let clock = Arc::clone(&time);
        let options = StreamOptions {
            base_url: Some(exchange.rest.url.parse().unwrap()),
            stream_url: Some(stream_url.parse().unwrap()),
            contact: self.contact,
            pause: SharedPause::default(),
            prices: self.prices,
            limits: Some(self.limits),
            timings: self.timings,
            clock: Some(Arc::new(move || Millis(clock.load(Ordering::SeqCst)))),
        };
        let protocol = self.case.protocol();
        let feed = StreamFeed::start(protocol, "http://unused.invalid", options).unwrap();
        Rig {
            case: self.case,
            origin: self.origin,
            requests,
            exchange,
            feed,
            time,
        }
    }
}

/// A running exchange and its feed.
struct Rig {
    case: &'static Case,
    origin: Minute,
    requests: usize,
    exchange: StreamExchange,
    feed: Arc<StreamFeed>,
    time: Arc<AtomicI64>,
}

impl Rig {
    /// Starts both, and waits until all pairs are subscribed and the first event has come.
    async fn start(case: &'static Case) -> Self {
        let rig = Setup::new(case).start().await;
        rig.ready(0).await;
        rig
    }

    /// Waits until a connection's requests are acknowledged, and sends its first event.
    async fn ready(&self, number: usize) {
        self.ready_after(number, self.requests).await;
    }

    /// The same, after a number of requests.
    async fn ready_after(&self, number: usize, requests: usize) {
        self.exchange.messages(number, requests).await;
        self.exchange.settle(number).await;
        self.reach(number, self.now()).await;
    }

    /// The clock, in milliseconds after the first minute's start.
    fn now(&self) -> i64 {
        self.time.load(Ordering::SeqCst) - self.origin.start().0
    }

    /// Sets the clock to a number of milliseconds after the first minute's start.
    fn at(&self, millis: i64) {
        let time = self.origin.start().0 + millis;
        self.time.store(time, Ordering::SeqCst);
    }

    /// Sets the clock, unless it is later.
    fn not_before(&self, millis: i64) {
        let time = self.origin.start().0 + millis;
        self.time.fetch_max(time, Ordering::SeqCst);
    }

    /// Sends an event of a time, of no pair under test, to a connection: it shows that the
    /// connection has come so far.
    async fn reach(&self, number: usize, millis: i64) {
        let at = self.origin.start().0 + millis - start().start().0;
        let trade = trade(at.unsigned_abs(), at, "7", "1");
        let (_, text) = self.case.messages(&self.case.clock(), &[trade]).remove(0);
        self.exchange.play(number, vec![Step::Send(text)]).await;
    }

    /// All open connections come to the clock's time.
    async fn tick(&self) {
        for number in self.exchange.open() {
            self.reach(number, self.now()).await;
        }
    }

    /// Sends messages to all open connections, each at its time.
    async fn deliver(&self, messages: &[(i64, String)]) {
        for (at, text) in messages {
            self.not_before(*at);
            self.exchange.broadcast(text).await;
        }
    }

    /// Samples of a minute, counted from the first one, once all open connections have come so far
    /// that nothing of it can be missing.
    async fn minute(&self, offset: i64) -> Result<Batch, FeedError> {
        self.not_before((offset + 1) * 60_000 + SETTLE_TIME);
        self.tick().await;
        self.given_out(offset).await
    }

    /// Samples of a minute after what has come so far, without those of the clock's pair.
    async fn given_out(&self, offset: i64) -> Result<Batch, FeedError> {
        let mut batch = self.feed.samples(self.origin.plus(offset)).await?;
        let clock = CLOCK.0.to_lowercase();
        let is_other = |sample: &Sample| !sample.metric.pair().starts_with(&clock);
        batch.samples.retain(is_other);
        Ok(batch)
    }

    /// Samples of a minute as `id=value`, sorted.
    async fn values(&self, offset: i64) -> Vec<String> {
        match self.minute(offset).await {
            Ok(batch) => kept(&batch),
            Err(error) => panic!("{}, minute {offset}: {error}", self.case.name),
        }
    }

    /// Checks that a minute is left out, though all open connections have come past it.
    async fn is_left_out(&self, offset: i64) {
        let kept = match self.minute(offset).await {
            Ok(batch) => kept(&batch),
            Err(FeedError::NotCovered { .. }) => Vec::new(),
            Err(error) => panic!("{}, minute {offset}: {error}", self.case.name),
        };
        assert_eq!(
            kept,
            Vec::<String>::new(),
            "{}, minute {offset}",
            self.case.name
        );
    }

    /// Waits until the first minute is refused by an error that holds a text.
    async fn error(&self, part: &str) -> String {
        let what = format!("{}: an error with {part:?}", self.case.name);
        let error = async || {
            let error = self.given_out(0).await.err()?.to_string();
            error.contains(part).then_some(error)
        };
        eventually(&what, error).await
    }
}
