//! Properties that the history of every exchange has.

use std::time::{Duration, Instant};

use futures::future::join_all;
use marketlake_feeds::FeedError;
use marketlake_feeds::stream::Listing;
use marketlake_model::Sample;

use super::market::{PAIRS, listed, quiet_start};
use super::{Rig, conforms, listing, span};

#[tokio::test]
async fn minutes_are_those_of_the_market_digit_for_digit() {
    conforms("values digit for digit", async |case| {
        let rig = Rig::start(case).await;
        for pair in [&PAIRS[0], &PAIRS[2], &PAIRS[3]] {
            let samples = rig.minutes(pair, span()).await.unwrap();
            let expected = rig.expected(pair, span());
            assert_eq!(listed(&samples), expected, "{}", case.name);
            let order = |sample: &Sample| (sample.ts, sample.metric.measure().to_owned());
            let in_order = samples.is_sorted_by_key(order);
            assert!(in_order, "{}: not by minute and measure", case.name);
        }
        assert_eq!(rig.exchange.requests().len(), 3, "{}", case.name);
    })
    .await;
}

#[tokio::test]
async fn pairs_have_their_common_names_and_the_symbols_of_the_rest_api() {
    conforms("list of pairs", async |case| {
        let rig = Rig::start(case).await;
        let mut expected = PAIRS.map(|pair| listing(case, &pair)).to_vec();
        expected.sort_by(|one, other| one.symbol.cmp(&other.symbol));
        assert_eq!(rig.feed.pairs().await.unwrap(), expected, "{}", case.name);
        assert_eq!(rig.feed.market(), case.name);
    })
    .await;
}

#[tokio::test]
async fn a_quiet_minute_has_the_price_before_it_and_no_volume() {
    conforms("quiet minutes", async |case| {
        let rig = Rig::start(case).await;
        let first = quiet_start();
        let pair = &PAIRS[0];
        let before = pair.candle(first.plus(-1));
        let name = format!("{first} {}:{}", case.name, pair.name());
        let mut expected = vec![
            format!("{name}={}", before.close),
            format!("{name}:high={}", before.close),
            format!("{name}:low={}", before.close),
            format!("{name}:volume=0"),
        ];
        if case.has_trades {
            expected.push(format!("{name}:trades=0"));
        }
        expected.sort();
        let samples = rig.minutes(pair, (first, first)).await.unwrap();
        assert_eq!(listed(&samples), expected, "{}", case.name);
        let omits = rig.feed.limits().omits_quiet_minutes;
        assert_eq!(omits, case.omits_quiet_minutes, "{}", case.name);
    })
    .await;
}

#[tokio::test]
async fn a_pair_has_no_price_before_its_first_candle() {
    conforms("a pair that was listed later", async |case| {
        let (from, to) = span();
        let since = from.plus(10).start().0;
        let rig = Rig::changed(case, move |_, mut rows| {
            rows.retain(|row| row.time >= since);
            rows
        })
        .await;
        let samples = rig.usual().await.unwrap();
        let pair = &PAIRS[0];
        let mut first = from.plus(10);
        while case.omits_quiet_minutes && pair.trades(first).is_empty() {
            first = first.plus(1);
        }
        let expected = rig.expected(pair, (first, to));
        assert_eq!(listed(&samples), expected, "{}", case.name);
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_rows_is_no_error() {
    conforms("no rows", async |case| {
        let rig = Rig::changed(case, |_, _| Vec::new()).await;
        assert!(rig.usual().await.unwrap().is_empty(), "{}", case.name);
    })
    .await;
}

#[tokio::test]
async fn a_long_span_is_requested_in_pages_that_the_exchange_answers() {
    conforms("pages", async |case| {
        let rig = Rig::start(case).await;
        let max_rows = i64::try_from(rig.feed.limits().max_rows).unwrap();
        // Kraken has the newest 720 minutes, all in one answer.
        let count = match case.name {
            "kraken" => 700,
            _ => max_rows + 60,
        };
        let from = quiet_start();
        let span = (from, from.plus(count - 1));
        let samples = rig.minutes(&PAIRS[1], span).await.unwrap();
        let expected = rig.expected(&PAIRS[1], span);
        assert_eq!(listed(&samples), expected, "{}", case.name);
        let requests = rig.exchange.requests();
        let pages = count.div_euclid(max_rows) + 1;
        assert!(
            (pages..=pages + 1).contains(&i64::try_from(requests.len()).unwrap()),
            "{}: {} requests of {max_rows} rows for {count} minutes",
            case.name,
            requests.len()
        );
    })
    .await;
}

#[tokio::test]
async fn requests_keep_the_interval_of_the_exchange() {
    conforms("pace", async |case| {
        let rig = Rig::start(case).await;
        let interval = rig.feed.limits().request_interval;
        assert!(interval > Duration::ZERO, "{}", case.name);
        let begin = Instant::now();
        let requests = (0..3).map(|_| rig.usual());
        for samples in join_all(requests).await {
            samples.unwrap();
        }
        let arrivals = rig.exchange.requests();
        let took = arrivals.iter().map(|request| request.at).max().unwrap() - begin;
        assert!(
            took >= interval * 2,
            "{}: 3 requests in {took:?}",
            case.name
        );
    })
    .await;
}

#[tokio::test]
async fn an_unknown_symbol_is_told_from_other_errors_and_not_requested_again() {
    conforms("an unknown symbol", async |case| {
        let rig = Rig::start(case).await;
        let unknown = Listing {
            symbol: (case.symbol)("XRP", "USDT"),
            pair: "xrpusdt".to_owned(),
        };
        let (from, to) = span();
        let error = rig.feed.minutes(&unknown, from, to).await.unwrap_err();
        let name = case.name;
        let is_it = matches!(error, FeedError::UnknownSymbol { .. });
        assert!(is_it && !error.is_transient(), "{name}: {error}");
        assert_eq!(error.pause(), None, "{name}: {error}");
        assert_eq!(rig.exchange.requests().len(), 1, "{name}");
        // It does not stop the others.
        rig.is_exact().await;
    })
    .await;
}
