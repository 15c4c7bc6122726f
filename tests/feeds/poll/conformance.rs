//! Properties that the poll of every exchange has.

use marketlake_feeds::{Coverage, FeedError};

use super::cases::TickerRow;
use super::{Rig, conforms};
use crate::feeds::history::market::PAIRS;
use crate::feeds::{kept, rejected};
use crate::support::samples::start;

#[tokio::test]
async fn prices_and_volumes_are_those_of_the_market_digit_for_digit() {
    conforms("values digit for digit", async |case| {
        let rig = Rig::start(case).await;
        let batch = rig.batch().await.unwrap();
        assert_eq!(kept(&batch), rig.expected(&PAIRS), "{}", case.name);
        assert_eq!(rejected(&batch), Vec::<String>::new(), "{}", case.name);
        assert!(batch.samples.iter().all(|sample| sample.ts == start()));
        assert_eq!(rig.feed.name(), case.name);
        assert_eq!(rig.feed.coverage(), Coverage::LiveOnly, "{}", case.name);
    })
    .await;
}

#[tokio::test]
async fn one_request_a_minute_has_the_prices_of_all_pairs() {
    conforms("one request a minute", async |case| {
        let rig = Rig::start(case).await;
        for minute in 0..3 {
            rig.feed.samples(start().plus(minute)).await.unwrap();
        }
        let requests = rig.exchange.requests();
        let of_tickers = requests.iter().filter(|request| request.path == case.path);
        assert_eq!(of_tickers.count(), 3, "{}", case.name);
        // Kraken's tickers have no base and quote: they are in the list of pairs.
        let others = usize::from(case.name == "kraken");
        assert_eq!(requests.len(), 3 + others, "{}", case.name);
    })
    .await;
}

#[tokio::test]
async fn numbers_may_be_json_numbers_or_texts() {
    conforms("JSON numbers", async |case| {
        let rig = Rig::changed(case, |mut tickers| {
            for ticker in &mut tickers {
                ticker.price = ticker.price.replace('"', "");
                ticker.volume = ticker.volume.replace('"', "");
            }
            tickers
        });
        let rig = rig.await;
        let batch = rig.batch().await.unwrap();
        assert_eq!(kept(&batch), rig.expected(&PAIRS), "{}", case.name);
    })
    .await;
}

#[tokio::test]
async fn numbers_keep_all_their_digits() {
    conforms("numbers of 18 digits", async |case| {
        let (price, volume) = ("123456789012.345678", "0.000000000000000001");
        let rig = Rig::changed(case, move |_| {
            vec![TickerRow::new(&PAIRS[0], price, volume)]
        })
        .await;
        let name = format!("{}:{}", case.name, PAIRS[0].name());
        let expected = [
            format!("{name}:volume24h={volume}"),
            format!("{name}={price}"),
        ];
        assert_eq!(kept(&rig.batch().await.unwrap()), expected);
    })
    .await;
}

#[tokio::test]
async fn a_price_that_is_not_kept_costs_its_pair_and_no_other() {
    conforms("prices that are not kept", async |case| {
        let long = "100.512345678901234567890123456789";
        for (price, part) in [
            (long, "does not fit"),
            ("1e99", "does not fit"),
            ("-0.5", "zero or more"),
            ("NaN", "expected a decimal number"),
        ] {
            let rig = Rig::changed(case, move |mut tickers| {
                tickers[0].price = format!("\"{price}\"");
                tickers
            });
            let rig = rig.await;
            let batch = rig.batch().await.unwrap();
            let name = case.name;
            assert_eq!(kept(&batch), rig.expected(&PAIRS[1..]), "{name}: {price}");
            let reasons = rejected(&batch);
            assert_eq!(batch.rejected, 1, "{name}: {reasons:?}");
            let is_named = reasons[0].contains("BTC") && reasons[0].contains(part);
            assert!(is_named, "{name}: {reasons:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_volume_that_is_not_kept_does_not_cost_the_price() {
    conforms("volumes that are not kept", async |case| {
        for volume in ["\"1e99\"", "\"-0.5\"", "null"] {
            let rig = Rig::changed(case, move |mut tickers| {
                tickers[0].volume = volume.to_owned();
                tickers
            });
            let rig = rig.await;
            let batch = rig.batch().await.unwrap();
            let mut expected = rig.expected(&PAIRS);
            let of_first = format!("{}:{}:volume24h=", case.name, PAIRS[0].name());
            expected.retain(|sample| !sample.starts_with(&of_first));
            assert_eq!(kept(&batch), expected, "{}: {volume}", case.name);
            assert_eq!(batch.rejected, 1, "{}: {volume}", case.name);
        }
    })
    .await;
}

#[tokio::test]
async fn a_pair_that_comes_twice_counts_once() {
    conforms("a pair twice", async |case| {
        let rig = Rig::changed(case, |mut tickers| {
            let again = TickerRow {
                price: "\"17\"".to_owned(),
                ..tickers[0].clone()
            };
            tickers.push(again);
            tickers
        });
        let rig = rig.await;
        let batch = rig.batch().await.unwrap();
        assert_eq!(kept(&batch), rig.expected(&PAIRS), "{}", case.name);
        assert_eq!(batch.rejected, 1, "{}: {:?}", case.name, rejected(&batch));
    })
    .await;
}

#[tokio::test]
async fn an_entry_that_is_no_ticker_does_not_cost_the_others() {
    conforms("an entry that is no ticker", async |case| {
        let rig = Rig::with_entry(case, case.odd).await;
        let batch = rig.batch().await.unwrap();
        assert_eq!(kept(&batch), rig.expected(&PAIRS), "{}", case.name);
        assert_eq!(batch.rejected, 1, "{}: {:?}", case.name, rejected(&batch));
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_a_usable_ticker_is_an_error() {
    conforms("no usable ticker", async |case| {
        let none = Rig::changed(case, |_| Vec::new()).await;
        let error = none.batch().await.unwrap_err();
        let name = case.name;
        assert!(
            matches!(error, FeedError::Empty { rejected: 0, .. }),
            "{name}: {error}"
        );
        let bad = Rig::changed(case, |mut tickers| {
            for ticker in &mut tickers {
                ticker.price = "\"x\"".to_owned();
            }
            tickers
        });
        let error = bad.await.batch().await.unwrap_err();
        assert!(
            matches!(error, FeedError::Empty { rejected: 4, .. }),
            "{name}: {error}"
        );
        let part = "expected a decimal number, got \"x\"";
        assert!(error.to_string().contains(part), "{name}: {error}");
    })
    .await;
}

#[tokio::test]
async fn more_pairs_than_an_exchange_has_are_rejected() {
    conforms("more than 20,000 pairs", async |case| {
        let rig = Rig::changed(case, |mut tickers| {
            let more = (0..20_000).map(|number| TickerRow {
                base: format!("C{number}"),
                ..tickers[0].clone()
            });
            let more: Vec<TickerRow> = more.collect();
            tickers.extend(more);
            tickers
        });
        let rig = rig.await;
        let batch = rig.batch().await.unwrap();
        let kept = kept(&batch);
        for sample in rig.expected(&PAIRS) {
            assert!(kept.contains(&sample), "{}: {sample}", case.name);
        }
        let count = u64::try_from(kept.len() / 2).unwrap() + batch.rejected;
        assert_eq!(count, 20_004, "{}", case.name);
        assert!(batch.rejected >= 4, "{}", case.name);
        assert!(batch.first_rejected.len() <= 20, "{}", case.name);
    })
    .await;
}
