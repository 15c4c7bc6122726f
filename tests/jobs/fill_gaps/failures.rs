//! Gaps of which the exchange has nothing, a part, or errors, and hours that cannot be written.

use std::sync::Arc;
use std::time::Duration;

use marketlake_entities::records::gaps::{GapReason, GapState};
use marketlake_jobs::{IngestMinute, RunOnce, Source};
use marketlake_model::Sample;

use super::market::Market;
use super::{DUE, Fixture, Partial, states};
use crate::support::base::{Base, on_both};
use crate::support::samples::metric;

const NO_CANDLES: &str = "last error of filling: the exchange has no candles of this minute";

#[tokio::test(flavor = "multi_thread")]
async fn symbols_that_are_unknown_or_cannot_be_read_are_named_and_skipped() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        market.faults.lock().unknown = vec!["ETHUSDT"];
        market.faults.lock().broken = vec!["ADAUSDT"];
        let fixture = Fixture::on(&base, &[market.source("binance")]).await;
        fixture.miss(&[30]).await;
        assert_eq!(fixture.planned().await, 1);
        // What cannot be read may be readable later: three rounds more.
        for round in 1..=3 {
            fixture.fill().await;
            let gap = fixture.gaps("binance").await.remove(0);
            let expected = (GapState::Open, 5, round);
            assert_eq!((gap.state, gap.samples, gap.attempts), expected, "{gap:?}");
            fixture.change(DUE).await;
        }
        fixture.fill().await;
        let gap = fixture.gaps("binance").await.remove(0);
        assert_eq!((gap.state, gap.samples), (GapState::Filled, 5), "{gap:?}");
        let (unknown, broken) = ("ETHUSDT (Invalid symbol.)", "ADAUSDT (expected JSON, got: ");
        assert!(gap.detail.contains(unknown), "{gap:?}");
        assert!(gap.detail.contains(broken), "{gap:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_fails_is_tried_again_later() {
    let base = Base::local().await;
    let market = Market::start().await;
    market.faults.lock().broken = vec!["ADAUSDT", "BTCUSDT", "ETHUSDT"];
    let fixture = Fixture::on(&base, &[market.source("binance")]).await;
    fixture.miss(&[30]).await;
    assert_eq!(fixture.planned().await, 1);
    let begun = fixture.now().await;
    fixture.fill().await;
    let gap = fixture.gaps("binance").await.remove(0);
    assert_eq!((gap.state, gap.attempts), (GapState::Open, 1));
    assert!(gap.not_before >= begun.plus(Duration::from_secs(60)));
    assert!(gap.detail.contains("last error of filling: "), "{gap:?}");
    assert!(gap.detail.contains("Under maintenance"), "{gap:?}");
    assert_eq!(fixture.planned().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_without_any_candle_is_tried_again_and_lost_in_the_end() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        market.faults.lock().empty = true;
        let fixture = Fixture::on(&base, &[market.source("binance")]).await;
        fixture.miss(&[40, 30]).await;
        assert_eq!(fixture.planned().await, 1);
        fixture.fill().await;
        let gap = fixture.gaps("binance").await.remove(1);
        let tried = (gap.state, gap.attempts, gap.next_symbol.as_deref());
        assert_eq!(tried, (GapState::Open, 1, None), "{gap:?}");
        assert!(gap.detail.ends_with(NO_CANDLES), "{gap:?}");
        let last_attempt = "update gaps set attempts = 11 where attempts = 0";
        fixture.change(last_attempt).await;
        fixture.fill().await;
        let gap = fixture.gaps("binance").await.remove(0);
        assert_eq!((gap.state, gap.attempts), (GapState::Lost, 12), "{gap:?}");
        assert!(gap.detail.ends_with(NO_CANDLES), "{gap:?}");
        // Symbols that are all unknown are no candles either.
        market.faults.lock().unknown = vec!["ADAUSDT", "BTCUSDT", "ETHUSDT"];
        fixture.change(DUE).await;
        fixture.fill().await;
        let gap = fixture.gaps("binance").await.remove(1);
        assert_eq!((gap.state, gap.attempts), (GapState::Open, 2), "{gap:?}");
        market.faults.lock().unknown = Vec::new();
        market.faults.lock().empty = false;
        fixture.change(DUE).await;
        fixture.fill().await;
        let gap = fixture.gaps("binance").await.remove(1);
        assert_eq!((gap.state, gap.samples), (GapState::Filled, 15), "{gap:?}");
        assert!(!gap.detail.contains(NO_CANDLES), "{gap:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_for_which_the_exchange_is_busy_is_tried_again_before_it_is_skipped() {
    on_both(async |base: Base| {
        let (binance, bybit) = (Market::start().await, Market::start().await);
        for market in [&binance, &bybit] {
            market.faults.lock().busy = vec!["BTCUSDT"];
        }
        let sources = [binance.source("binance"), bybit.source("bybit")];
        let fixture = Fixture::on(&base, &sources).await;
        fixture.miss(&[30]).await;
        assert_eq!(fixture.planned().await, 1);
        fixture.fill().await;
        for name in ["binance", "bybit"] {
            let gap = fixture.gaps(name).await.remove(0);
            let tried = (gap.state, gap.attempts, gap.next_symbol.as_deref());
            let expected = (GapState::Open, 1, Some("ADAUSDT"));
            assert_eq!(tried, expected, "{gap:?}");
        }
        binance.faults.lock().busy = Vec::new();
        let failed = "update gaps set attempts = 3 where market = 'bybit'";
        fixture.change(failed).await;
        fixture.change(DUE).await;
        fixture.fill().await;
        fixture.change(DUE).await;
        fixture.fill().await;
        let whole = fixture.gaps("binance").await.remove(0);
        assert_eq!((whole.state, whole.samples), (GapState::Filled, 15));
        assert!(!whole.detail.contains("BTCUSDT"), "{whole:?}");
        let partial = fixture.gaps("bybit").await.remove(0);
        // Two pairs with four samples each: Bybit counts no trades.
        assert_eq!((partial.state, partial.samples), (GapState::Filled, 8));
        let skipped = "skipped: BTCUSDT (";
        assert!(partial.detail.contains(skipped), "{partial:?}");
    })
    .await;
}

/// Deletes what a lake on local files has.
fn damage(base: &Base) {
    let files = base.object_files();
    assert!(!files.is_empty());
    for file in files {
        std::fs::remove_file(file).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_that_cannot_be_written_does_not_hold_up_other_hours() {
    let base = Base::local().await;
    let market = Market::start().await;
    let fixture = Fixture::on(&base, &[market.source("binance")]).await;
    let now = fixture.miss(&[150, 30]).await;
    let sample = Sample {
        metric: metric("binance:btcusdt"),
        ts: now.plus(-30),
        value: "7".parse().unwrap(),
    };
    let at = fixture.now().await;
    fixture.lake.import(vec![sample], at).await.unwrap();
    damage(&base);
    assert_eq!(fixture.planned().await, 1);
    let ran = fixture.run(&fixture.job, now).await;
    assert!(matches!(ran, RunOnce::Failed(_)), "{ran:?}");
    let found = fixture.gaps("binance").await;
    assert_eq!(states(&found), [GapState::Open, GapState::Open]);
    assert_eq!((found[0].attempts, found[1].attempts), (0, 1));
    assert!(found[1].not_before >= at.plus(Duration::from_secs(30)));
    assert!(
        found[1].detail.contains("last error of filling: "),
        "{found:?}"
    );
    assert_eq!((&found[1].next_symbol, found[1].samples), (&None, 0));
    fixture.fill().await;
    let found = fixture.gaps("binance").await;
    assert_eq!(states(&found), [GapState::Filled, GapState::Open]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_of_which_the_lake_cannot_be_read_does_not_hold_up_others() {
    let base = Base::local().await;
    let (binance, bybit) = (Market::start().await, Market::start().await);
    let partial = || {
        binance.source_with(Partial {
            name: "binance",
            ids: &["binance:adausdt"],
            incomplete: 2,
        })
    };
    let fixture = Fixture::on(&base, &[partial(), bybit.source("bybit")]).await;
    let ingest = IngestMinute::new(Arc::clone(&fixture.lake), vec![partial()], None);
    let now = fixture.miss(&[150]).await;
    fixture.run(&ingest, now.plus(-30)).await;
    damage(&base);
    assert_eq!(fixture.planned().await, 1);
    fixture.fill().await;
    let gap = fixture.gaps("binance").await.remove(1);
    assert_eq!(gap.reason, GapReason::Incomplete);
    assert_eq!((gap.state, gap.attempts), (GapState::Open, 1), "{gap:?}");
    assert!(gap.detail.contains("last error of filling: "), "{gap:?}");
    assert_eq!(states(&fixture.gaps("bybit").await), [GapState::Filled]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_without_pairs_records_what_its_feed_lacks() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        let partial = Partial {
            name: "binance",
            ids: &["binance:btcusdt"],
            incomplete: 1,
        };
        let sources = vec![Source {
            shards: 2.try_into().ok(),
            ..market.source_with(partial)
        }];
        let fixture = Fixture::on(&base, &sources).await;
        let ingest = IngestMinute::new(Arc::clone(&fixture.lake), sources, None);
        let minute = fixture.now().await.minute().plus(-30);
        // The pair is in the other shard.
        let ran = fixture.run_shard(&ingest, minute, 0).await;
        let no_samples = r#""samples":0"#;
        assert!(
            matches!(&ran, RunOnce::Done(outcome) if outcome.contains(no_samples)),
            "{ran:?}"
        );
        let gap = fixture.gaps("binance").await.remove(0);
        assert_eq!(
            (gap.minute, gap.reason, gap.state),
            (minute.start(), GapReason::Incomplete, GapState::Open)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_of_which_the_history_has_nothing_yet_is_requested_again() {
    on_both(async |base: Base| {
        let market = Market::start().await;
        market.faults.lock().late = vec!["ETHUSDT"];
        let fixture = Fixture::on(&base, &[market.source("binance")]).await;
        fixture.miss(&[30]).await;
        assert_eq!(fixture.planned().await, 1);
        fixture.fill().await;
        let gap = fixture.gaps("binance").await.remove(0);
        assert_eq!((gap.state, gap.samples), (GapState::Open, 10), "{gap:?}");
        assert!(
            gap.detail.contains("skipped: ETHUSDT (no candle)"),
            "{gap:?}"
        );
        market.faults.lock().late = Vec::new();
        let before = market.requested().len();
        fixture.change(DUE).await;
        fixture.fill().await;
        let gap = fixture.gaps("binance").await.remove(0);
        assert_eq!((gap.state, gap.samples), (GapState::Filled, 15), "{gap:?}");
        assert!(!gap.detail.contains("skipped"), "{gap:?}");
        let again = market.requested().split_off(before);
        let symbols: Vec<&str> = again.iter().map(|(symbol, _)| symbol.as_str()).collect();
        assert_eq!(symbols, ["ETHUSDT"]);
    })
    .await;
}
