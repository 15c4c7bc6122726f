//! One generated market in four ways: as a stream, polled and corrected from the history, as a
//! backfill, and as a file. Its recorded minutes are the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::future::join_all;
use marketlake_entities::database;
use marketlake_feeds::files::{self, FileOptions};
use marketlake_jobs::{Backfill, RunOnce, Runner};
use marketlake_lake::{Lake, QueryEngine, Span};
use marketlake_model::{Exact, Metric, Minute, Sample};
use tokio_util::sync::CancellationToken;

use super::Setup;
use super::cases::{self, Case};
use super::messages::Trade;
use crate::feeds::history;
use crate::feeds::history::cases::RestCase;
use crate::feeds::history::exchanges::CASES;
use crate::feeds::history::market::{PAIRS, Pair, listed};
use crate::feeds::poll;
use crate::feeds::poll::cases::TickerRow;
use crate::support::base::Base;
use crate::support::rest_exchange::RestExchange;
use crate::support::samples::start;

const MINUTES: i64 = 6;

/// Pairs that are recorded.
fn pairs() -> &'static [Pair] {
    &PAIRS[..2]
}

/// Minutes that are recorded: all pairs are traded in the first one, and each is quiet in a later
/// one.
fn span() -> Span {
    let is_quiet = |pair: &Pair, minute: Minute| pair.trades(minute).is_empty();
    let is_quiet_later =
        |pair: &Pair, from: Minute| (1..MINUTES).any(|offset| is_quiet(pair, from.plus(offset)));
    let is_it = |pair: &Pair, from| !is_quiet(pair, from) && is_quiet_later(pair, from);
    let mut from = start();
    while !pairs().iter().all(|pair| is_it(pair, from)) {
        from = from.plus(1);
    }
    let to = from.plus(MINUTES - 1);
    Span { from, to }
}

fn minutes(span: Span) -> impl Iterator<Item = Minute> {
    (span.from.number()..=span.to.number()).map(Minute::from_number)
}

/// A text that lives as long as the test's process.
fn text(value: Exact) -> &'static str {
    value.to_string().leak()
}

fn trades(pair: &Pair, span: Span) -> Vec<Trade> {
    let trades = minutes(span).flat_map(|minute| pair.trades(minute));
    trades
        .zip(1..)
        .map(|(trade, id)| Trade {
            id,
            at: trade.time.0 - start().start().0,
            price: text(trade.price),
            quantity: text(trade.quantity),
        })
        .collect()
}

/// Samples of the market as a stream.
async fn streamed(case: &'static Case, span: Span) -> Vec<Sample> {
    let mut setup = Setup::new(case);
    setup.origin = span.from;
    let rig = setup.start().await;
    rig.ready(0).await;
    let origin = span.from.start().0 - start().start().0;
    let mut messages = Vec::new();
    for pair in pairs() {
        let symbol = (case.symbol)(pair.base, pair.quote);
        let of_pair = case.messages(&symbol, &trades(pair, span));
        messages.extend(of_pair.into_iter().map(|(at, text)| (at - origin, text)));
    }
    messages.sort_by_key(|(at, _)| *at);
    rig.deliver(&messages).await;
    let mut samples = Vec::new();
    for offset in 0..MINUTES {
        samples.extend(rig.minute(offset).await.unwrap().samples);
    }
    samples
}

/// Samples of the market as they are polled, and then those of the history.
///
/// A poll comes after its minute: it has the first price of the next one.
async fn polled(case: &'static RestCase, span: Span) -> [Vec<Sample>; 2] {
    let poll_case = poll::cases::case(case.name);
    let polled_minute = Arc::new(AtomicI64::new(0));
    let current = Arc::clone(&polled_minute);
    let ticker = move |pair: &Pair| {
        let next = Minute::from_number(current.load(Ordering::SeqCst) + 1);
        let (price, volume) = (pair.candle(next).open, pair.volume_24h());
        TickerRow::new(pair, &price.to_string(), &volume.to_string())
    };
    let exchange = RestExchange::start(move |request, _| {
        if request.path == poll_case.path {
            return poll::respond(poll_case, request, |_| {
                pairs().iter().map(&ticker).collect()
            });
        }
        history::respond(case, request, |_, rows| rows)
    })
    .await;
    let feed = poll::feed(case.name, &exchange.url, None);
    let mut samples = Vec::new();
    for minute in minutes(span) {
        polled_minute.store(minute.number(), Ordering::SeqCst);
        samples.extend(feed.samples(minute).await.unwrap().samples);
    }
    let feed = history::feed(case.name, &exchange.url, None);
    let mut corrections = Vec::new();
    for pair in pairs() {
        let listing = history::listing(case, pair);
        let minutes = feed.minutes(&listing, span.from, span.to).await;
        corrections.extend(minutes.unwrap());
    }
    [samples, corrections]
}

/// Backfills the market into a lake.
async fn backfill(lake: &Arc<Lake>, case: &'static RestCase, span: Span) {
    let exchange =
        RestExchange::start(move |request, _| history::respond(case, request, |_, rows| rows))
            .await;
    let feed = history::feed(case.name, &exchange.url, None);
    let mut listings = feed.pairs().await.unwrap();
    listings.retain(|listing| pairs().iter().any(|pair| pair.name() == listing.pair));
    let lake = Arc::clone(lake);
    let database = lake.database().clone();
    let job = Backfill::new(lake, feed, listings, span, Box::new(|_| ()));
    let day = Span::day(span.from);
    let runner = Runner::new(database, "w".to_owned(), CancellationToken::new());
    let run = runner.run_once(&job, day.from.start(), job.shard(day), false);
    let run = run.await.unwrap();
    assert!(matches!(run, RunOnce::Done(_)), "{}: {run:?}", case.name);
}

/// Samples of the market that a file holds.
fn imported(base: &Base, case: &RestCase, span: Span) -> Vec<Sample> {
    let mut lines = vec!["metric,ts,value".to_owned()];
    for sample in samples(case, span) {
        let Sample { metric, ts, value } = sample;
        lines.push(format!("{},{ts},{value}", metric.id()));
    }
    let path = base.path().join(format!("{}.csv", case.name));
    std::fs::write(&path, lines.join("\n")).unwrap();
    let samples = files::read(&path, &FileOptions::default()).unwrap();
    samples.map(|sample| sample.unwrap()).collect()
}

/// Samples of the market: the number of trades only where the history has it.
fn samples(case: &RestCase, span: Span) -> Vec<Sample> {
    let of_pair = |pair: &Pair| pair.samples(case.name, span.from, span.to, case.has_trades);
    pairs().iter().flat_map(of_pair).collect()
}

async fn import(lake: &Arc<Lake>, samples: Vec<Sample>) {
    let now = database::clock(lake.database()).await.unwrap();
    lake.import(samples, now).await.unwrap();
}

/// Samples of some metrics in a lake, as [`listed`].
async fn recorded(lake: &Lake, metrics: &[&Metric], span: Span) -> Vec<String> {
    lake.refresh_directory().await.unwrap();
    let engine = lake.datafusion();
    let mut samples = Vec::new();
    for metric in metrics {
        let points = engine.timeseries(metric, span).await.unwrap();
        samples.extend(points.into_iter().map(|point| Sample {
            metric: (*metric).clone(),
            ts: point.ts,
            value: point.value,
        }));
    }
    listed(&samples)
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_corrected_poll_backfill_and_import_of_one_market_are_equal() {
    let span = span();
    let bases = join_all((0..4).map(|_| Base::local())).await;
    let lakes = join_all(bases.iter().map(Base::lake)).await;
    let [by_stream, by_poll, by_backfill, by_import] = lakes.as_slice() else {
        panic!("{} lakes", lakes.len());
    };
    for case in &CASES {
        import(by_stream, streamed(cases::case(case.name), span).await).await;
        let [polls, corrections] = polled(case, span).await;
        import(by_poll, polls).await;
        import(by_poll, corrections).await;
        backfill(by_backfill, case, span).await;
        import(by_import, imported(&bases[3], case, span)).await;
    }
    for case in &CASES {
        let samples = samples(case, span);
        let expected = listed(&samples);
        let mut metrics: Vec<&Metric> = samples.iter().map(|sample| &sample.metric).collect();
        metrics.sort_unstable();
        metrics.dedup();
        for (way, lake) in ["stream", "poll", "backfill", "import"].iter().zip(&lakes) {
            let recorded = recorded(lake, &metrics, span).await;
            assert_eq!(recorded, expected, "{way} of {}", case.name);
        }
    }
}
