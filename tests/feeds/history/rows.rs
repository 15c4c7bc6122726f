//! Rows that no exchange should send: in another order or unit, twice, outside of the span, with
//! numbers that are none.

use futures::future::join_all;
use marketlake_model::Exact;

use super::cases::{RestCase, Row};
use super::market::PAIRS;
use super::{Rig, conforms, respond, span};
use crate::support::exchange::Answer;

/// Index of the row that is changed: of the first requested minute with trades.
fn traded(rows: &[Row]) -> usize {
    let (from, to) = span();
    let requested = from.start().0..=to.start().0;
    let mut rows = rows.iter();
    let index = rows.position(|row| requested.contains(&row.time) && row.trades > 0);
    index.unwrap()
}

/// An exchange that changes one row of its answers.
async fn with_row(case: &'static RestCase, change: fn(&mut Row)) -> Rig {
    Rig::changed(case, move |_, mut rows| {
        let index = traded(&rows);
        change(&mut rows[index]);
        rows
    })
    .await
}

/// A number in the form of another one: a text or a JSON number.
fn like(other: &str, number: &str) -> String {
    match other.starts_with('"') {
        true => format!("\"{number}\""),
        false => number.to_owned(),
    }
}

#[tokio::test]
async fn rows_may_come_in_any_order() {
    conforms("rows in another order", async |case| {
        let reversed = Rig::changed(case, |_, mut rows| {
            rows.reverse();
            rows
        });
        reversed.await.is_exact().await;
        let mixed = Rig::changed(case, |_, mut rows| {
            let middle = rows.len() / 2;
            rows.rotate_left(middle);
            rows
        });
        mixed.await.is_exact().await;
    })
    .await;
}

#[tokio::test]
async fn a_row_that_comes_twice_counts_once() {
    conforms("equal rows of one minute", async |case| {
        let rig = Rig::changed(case, |_, rows| [rows.clone(), rows].concat());
        rig.await.is_exact().await;
    })
    .await;
}

#[tokio::test]
async fn two_values_of_one_minute_are_an_error() {
    conforms("different rows of one minute", async |case| {
        let rig = Rig::changed(case, |_, mut rows| {
            let mut other = rows[traded(&rows)].clone();
            other.volume = like(&other.volume, "17");
            rows.push(other);
            rows
        });
        rig.await.is_malformed(&[]).await;
    })
    .await;
}

#[tokio::test]
async fn rows_outside_of_the_span_are_ignored() {
    conforms("some rows outside of the span", async |case| {
        let (from, to) = span();
        let rig = Rig::changed(case, move |_, mut rows| {
            let pair = &PAIRS[1];
            let before = case.row_of(&pair.candle(from.plus(-2_000)));
            let after = [2_000, 5_000].map(|minutes| case.row_of(&pair.candle(to.plus(minutes))));
            rows.insert(0, before);
            rows.extend(after);
            rows
        });
        rig.await.is_exact().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_rows_outside_of_the_span_only_is_an_error() {
    conforms("all rows outside of the span", async |case| {
        let rig = Rig::changed(case, |_, mut rows| {
            for row in &mut rows {
                row.time -= 5_000 * 60_000;
            }
            rows
        });
        rig.await.is_malformed(&["expected"]).await;
    })
    .await;
}

/// Since 2025 Binance's files are in microseconds; one day its answers may be.
#[tokio::test]
async fn times_in_another_unit_are_an_error() {
    conforms("times in another unit", async |case| {
        let larger = Rig::changed(case, |_, mut rows| {
            for row in &mut rows {
                row.time *= 1_000;
            }
            rows
        });
        larger.await.is_malformed(&["expected"]).await;
        let smaller = Rig::changed(case, |_, mut rows| {
            for row in &mut rows {
                row.time /= 1_000;
            }
            rows
        });
        smaller.await.is_malformed(&["expected"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_time_that_is_no_start_of_a_minute_is_an_error() {
    conforms("a time within a minute", async |case| {
        let rig = with_row(case, |row| row.time += 30_000).await;
        rig.is_malformed(&["row"]).await;
    })
    .await;
}

#[tokio::test]
async fn numbers_may_be_json_numbers_or_texts() {
    conforms("numbers in the other form", async |case| {
        let other = |number: &String| match number.strip_prefix('"') {
            Some(rest) => rest.trim_end_matches('"').to_owned(),
            None => format!("\"{number}\""),
        };
        let rig = Rig::changed(case, move |_, mut rows| {
            for row in &mut rows {
                row.open = other(&row.open);
                row.close = other(&row.close);
                row.high = other(&row.high);
                row.low = other(&row.low);
                row.volume = other(&row.volume);
            }
            rows
        });
        rig.await.is_exact().await;
    })
    .await;
}

#[tokio::test]
async fn numbers_keep_all_their_digits() {
    conforms("numbers of 18 digits", async |case| {
        let rig = with_row(case, |row| {
            row.high = like(&row.high, "123456789012.345678");
            row.volume = like(&row.volume, "0.000000000000000001");
        });
        let samples = rig.await.usual().await.unwrap();
        let has = |measure: &str, value: &str| {
            let value: Exact = value.parse().unwrap();
            let mut all = samples.iter();
            all.any(|sample| sample.metric.measure() == measure && sample.value == value)
        };
        assert!(has("high", "123456789012.345678"), "{}", case.name);
        assert!(has("volume", "0.000000000000000001"), "{}", case.name);
    })
    .await;
}

#[tokio::test]
async fn a_number_that_is_not_kept_is_an_error_that_names_row_and_field() {
    conforms("numbers that are not kept", async |case| {
        let long = with_row(case, |row| {
            row.close = like(&row.close, "100.512345678901234567890123456789");
        });
        let parts = ["row", "close", "100.512345678901234567890123456789"];
        long.await.is_malformed(&parts).await;
        let large = with_row(case, |row| row.volume = like(&row.volume, "1e99"));
        large.await.is_malformed(&["row", "volume", "1e99"]).await;
        let negative = with_row(case, |row| row.volume = like(&row.volume, "-0.5"));
        negative.await.is_malformed(&["volume", "-0.5"]).await;
        let missing = with_row(case, |row| row.high = "null".to_owned());
        missing.await.is_malformed(&["row", "high"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_close_beyond_high_or_low_is_an_error() {
    conforms("a close beyond high or low", async |case| {
        let above = with_row(case, |row| row.high = like(&row.high, "0.00000001"));
        above.await.is_malformed(&["high"]).await;
        let below = with_row(case, |row| row.low = like(&row.low, "900000"));
        below.await.is_malformed(&["low"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_candle_without_volume_has_one_price() {
    conforms("a candle without volume", async |case| {
        if case.omits_quiet_minutes {
            return;
        }
        let rig = Rig::changed(case, |_, mut rows| {
            for row in rows.iter_mut().filter(|row| row.trades == 0) {
                row.high = like(&row.high, "900000");
                row.low = like(&row.low, "0.00000001");
            }
            rows
        });
        rig.await.is_exact().await;
    })
    .await;
}

#[tokio::test]
async fn a_row_without_all_fields_is_an_error() {
    conforms("rows of another form", async |case| {
        let rows = ["[]", "{}", "7", "null", "[1795514400000]", "[[[[]]]]"];
        let checks = rows.map(async |row| {
            let body = (case.answer)(&(case.symbol)(PAIRS[0].base, PAIRS[0].quote), row);
            let rig = Rig::answering(case, move |_| Answer::ok(body.clone())).await;
            rig.is_malformed(&[]).await;
        });
        join_all(checks).await;
    })
    .await;
}

#[tokio::test]
async fn candles_of_another_pair_are_refused() {
    conforms("candles of another pair", async |case| {
        // The answers of the others do not name the pair.
        if !["kraken", "bybit", "bitstamp"].contains(&case.name) {
            return;
        }
        let rig = Rig::answering(case, move |request| {
            let Some(candles) = (case.request)(request) else {
                return respond(case, request, |_, rows| rows);
            };
            let mut symbols = PAIRS
                .iter()
                .map(|pair| (case.symbol)(pair.base, pair.quote));
            let other = symbols.find(|symbol| *symbol != candles.symbol).unwrap();
            Answer::ok(case.body(&other, &case.rows(&candles)))
        });
        rig.await.is_malformed(&["pair: expected"]).await;
    })
    .await;
}
