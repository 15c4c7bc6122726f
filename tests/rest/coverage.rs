//! Coverage: recorded minutes, missing ones with their reasons, and what the history filled.

use std::fmt::Write;

use marketlake_entities::records::gaps::{self, GapReason, GapState};
use marketlake_model::Minute;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DatabaseConnection, NotSet, Set};
use serde_json::{Value, json};

use super::{HISTORY, serve};
use crate::support::base::{Base, on_both};
use crate::support::samples::{minute, start};

/// From 10:00 to 10:06; 10:02, 10:03 and 10:04 are missing.
pub const WITH_MISSING: &str = "metric,ts,value
binance:hottry,2026-11-24T10:00:00Z,1
binance:hottry,2026-11-24T10:01:00Z,2
binance:hottry,2026-11-24T10:05:00Z,3
binance:hottry,2026-11-24T10:06:00Z,4
";

/// Gaps of [`WITH_MISSING`]: 10:01 was filled, 10:03 and 10:04 are open, 10:05 of Kraken is lost.
pub async fn insert_gaps(base: &Base) -> DatabaseConnection {
    use GapReason::{FeedFailed, Missed};
    let database = base.database().await;
    let at = |of_hour: i64| start().plus(of_hour);
    let missed = "no process ran";
    insert(&database, "binance", at(1), (Missed, GapState::Filled), "").await;
    for open in [at(3), at(4)] {
        insert(&database, "binance", open, (Missed, GapState::Open), missed).await;
    }
    let (lost, answer) = ((FeedFailed, GapState::Lost), "kraken: answered\n500");
    insert(&database, "kraken", at(5), lost, answer).await;
    database
}

async fn insert(
    database: &DatabaseConnection,
    market: &str,
    at: Minute,
    (reason, state): (GapReason, GapState),
    detail: &str,
) {
    let gap = gaps::ActiveModel {
        id: NotSet,
        market: Set(market.to_owned()),
        minute: Set(at.start()),
        reason: Set(reason),
        state: Set(state),
        attempts: Set(0),
        not_before: Set(at.start()),
        next_symbol: Set(None),
        samples: Set(if state == GapState::Filled { 3 } else { 0 }),
        detail: Set(detail.to_owned()),
        found_at: Set(at.start()),
        closed_at: Set((state != GapState::Open).then_some(at.start())),
    };
    gap.insert(database).await.unwrap();
}

/// Detail of a minute of which the market was filled, and the metric was not.
const NO_CANDLE: &str = "the history of binance had no usable candle";

#[tokio::test(flavor = "multi_thread")]
async fn coverage_counts_the_recorded_minutes_and_gives_the_reasons_of_the_others() {
    on_both(async |base: Base| {
        let server = serve(&base, WITH_MISSING).await;
        let database = insert_gaps(&base).await;
        let path = "/v1/coverage?metric=HOTTRY";
        let (missed, unknown) = (
            json!({
                "from": "2026-11-24T10:03:00Z", "to": "2026-11-24T10:04:00Z", "minutes": 2,
                "reason": "missed", "state": "open", "detail": null,
            }),
            json!({
                "from": "2026-11-24T10:02:00Z", "to": "2026-11-24T10:02:00Z", "minutes": 1,
                "reason": "not_recorded", "state": null, "detail": null,
            }),
        );
        assert_eq!(
            server.json(path).await,
            json!({
                "metric": "hottry", "id": "binance:hottry",
                "from": "2026-11-24T10:00:00Z", "to": "2026-11-24T10:06:00Z",
                "expected": 7, "recorded": 4, "filled": 1, "display": "4 of 7",
                "missing": [missed, unknown], "missing_left_out": 0,
            })
        );
        // Details may quote errors: they are for operators.
        let of_operator = server.operator().get(path).await;
        assert_eq!(of_operator.header("cache-control"), "no-cache");
        assert_eq!(
            of_operator.value()["missing"][0]["detail"],
            "no process ran"
        );
        // A gap changes without a commit to the lake.
        database
            .execute_unprepared("update gaps set state = 'lost' where state = 'open'")
            .await
            .unwrap();
        assert_eq!(server.json(path).await["missing"][0]["state"], "lost");
        let part = format!("{path}&from=2026-11-24T10:04:30Z&to=2026-11-24T10:05:00Z");
        let part = server.json(&part).await;
        assert_eq!(
            (&part["display"], &part["filled"]),
            (&json!("1 of 2"), &json!(0))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_is_expected_from_its_first_sample_to_the_newest_minute() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let hour = "2026-11-24T10:";
        for (query, display, from, to) in [
            ("metric=hottry", "3 of 4", "00", "03"),
            ("metric=single", "1 of 2", "02", "03"),
            ("metric=tie&from=2026-11-24T10:02:00Z", "0 of 2", "02", "03"),
            (
                "metric=hottry&to=2026-11-24T10:01:00Z",
                "2 of 2",
                "00",
                "01",
            ),
            (
                "metric=tie&from=2026-11-24T10:02:00Z&to=2026-11-24T11:00:00Z",
                "0 of 2",
                "02",
                "03",
            ),
            (
                "metric=tie&from=2026-11-24T10:10:00Z&to=2026-11-24T10:20:00Z",
                "0 of 0",
                "10",
                "20",
            ),
            (
                "metric=single&to=2026-11-24T10:01:00Z&from=2026-11-24T10:00:00Z",
                "0 of 0",
                "00",
                "01",
            ),
        ] {
            let found = server.json(&format!("/v1/coverage?{query}")).await;
            assert_eq!(found["display"], display, "{query}: {found}");
            let of_hour = |minute: &str| Value::from(format!("{hour}{minute}:00Z"));
            assert_eq!(found["from"], of_hour(from), "{query}: {found}");
            assert_eq!(found["to"], of_hour(to), "{query}: {found}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_days_days_that_lack_minutes_and_empty_days_are_told_apart() {
    on_both(async |base: Base| {
        let first = minute("2026-11-20T00:00:00Z");
        let mut history = "metric,ts,value\n".to_owned();
        for number in 0..5 * 1_440_i64 {
            // The third day is empty, the fourth lacks two minutes, the last one its end.
            let is_missing = (2_880..4_320).contains(&number)
                || [4_400, 5_000].contains(&number)
                || number >= 6_000;
            if !is_missing {
                writeln!(history, "binance:days,{},1", first.plus(number)).unwrap();
            }
        }
        writeln!(history, "binance:other,{},1", first.plus(6_001)).unwrap();
        let server = serve(&base, &history).await;
        let found = server
            .json(&format!("/v1/coverage?metric=days&from={first}"))
            .await;
        assert_eq!(found["display"], "4558 of 6002", "{found}");
        let missing = found["missing"].as_array().unwrap().iter();
        let missing: Vec<(String, u64)> = missing
            .map(|span| {
                let from = span["from"].as_str().unwrap().to_owned();
                (from, span["minutes"].as_u64().unwrap())
            })
            .collect();
        let expected = [(6_000, 2), (5_000, 1), (4_400, 1), (2_880, 1_440)];
        let expected = expected.map(|(from, minutes)| (first.plus(from).to_string(), minutes));
        assert_eq!(missing, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filled_counts_what_was_missed_and_nothing_that_no_history_has() {
    use GapReason::{FeedFailed, Incomplete, Missed, Polled};
    use GapState::{Filled, Open};
    on_both(async |base: Base| {
        let mut history = "metric,ts,value\n".to_owned();
        for metric in [
            "binance:a",
            "binance:a:volume24h",
            "binance:a:trades",
            "okx:a:trades",
        ] {
            for of_hour in [0, 1, 2, 3, 4, 6] {
                writeln!(history, "{metric},{},1", start().plus(of_hour)).unwrap();
            }
        }
        let server = serve(&base, &history).await;
        let database = base.database().await;
        for market in ["binance", "okx"] {
            for (of_hour, reason, state) in [
                (1, Missed, Filled),
                (2, FeedFailed, Filled),
                (3, Polled, Filled),
                (4, Incomplete, Filled),
                (5, Polled, Filled),
                (6, Missed, Open),
            ] {
                let at = start().plus(of_hour);
                insert(&database, market, at, (reason, state), "an error").await;
            }
        }
        for (metric, filled, state, detail) in [
            ("binance:a", 2, "lost", json!(NO_CANDLE)),
            ("binance:a:trades", 2, "lost", json!(NO_CANDLE)),
            (
                "binance:a:volume24h",
                0,
                "lost",
                json!("the history of binance has no volume24h"),
            ),
            (
                "okx:a:trades",
                0,
                "lost",
                json!("the history of okx has no trades"),
            ),
        ] {
            let found = server.json(&format!("/v1/coverage?metric={metric}")).await;
            assert_eq!(found["display"], "6 of 7", "{metric}: {found}");
            assert_eq!(found["filled"], filled, "{metric}: {found}");
            let expected = json!([{
                "from": "2026-11-24T10:05:00Z", "to": "2026-11-24T10:05:00Z", "minutes": 1,
                "reason": "polled", "state": state, "detail": detail,
            }]);
            assert_eq!(found["missing"], expected, "{metric}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_was_not_listed_is_one_missing_span() {
    let base = Base::local().await;
    let mut history = "metric,ts,value\n".to_owned();
    for of_hour in [0, 50] {
        writeln!(history, "binance:gone,{},1", start().plus(of_hour)).unwrap();
    }
    let server = serve(&base, &history).await;
    let database = base.database().await;
    let incomplete = (GapReason::Incomplete, GapState::Filled);
    for of_hour in (4..50).step_by(4) {
        insert(&database, "binance", start().plus(of_hour), incomplete, "").await;
    }
    let path = "/v1/coverage?metric=gone";
    let expected = json!([{
        "from": "2026-11-24T10:01:00Z", "to": "2026-11-24T10:49:00Z", "minutes": 49,
        "reason": "not_recorded", "state": null, "detail": null,
    }]);
    assert_eq!(server.json(path).await["missing"], expected);
    // Few changes are shown as they are.
    let part = format!("{path}&from={}", start().plus(41));
    let part = server.json(&part).await;
    let minutes = part["missing"].as_array().unwrap().iter();
    let minutes: Vec<u64> = minutes.map(|s| s["minutes"].as_u64().unwrap()).collect();
    assert_eq!(minutes, [1, 1, 3, 1, 3], "{part}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_1000_missing_spans_are_listed_and_the_older_ones_are_counted() {
    let base = Base::local().await;
    let first = minute("2026-11-20T00:00:00Z");
    let mut history = "metric,ts,value\n".to_owned();
    for sample in 0..1_203 {
        writeln!(history, "binance:even,{},1", first.plus(2 * sample)).unwrap();
    }
    let server = serve(&base, &history).await;
    let found = server
        .json(&format!("/v1/coverage?metric=even&from={first}"))
        .await;
    assert_eq!(found["display"], "1203 of 2405");
    let missing = found["missing"].as_array().unwrap();
    assert_eq!(
        (missing.len(), &found["missing_left_out"]),
        (1_000, &json!(202))
    );
    assert_eq!(missing[0]["from"], first.plus(2_403).to_string());
    assert_eq!(missing[999]["to"], first.plus(405).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_of_coverage_is_named_with_what_was_expected() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    for (query, status, expected) in [
        ("", 400, "metric: expected the name or id of a metric"),
        ("metric=nope", 404, "nope"),
        (
            "metric=tie&from=noon",
            400,
            "from: expected a time as RFC 3339",
        ),
        (
            "metric=tie&from=2027-01-01T00:00:00Z",
            400,
            "from: expected a time up to 2026-11-24T10:03:00Z",
        ),
        (
            "metric=tie&from=2020-01-01T00:00:00Z",
            400,
            "from: expected at most 527040 minutes up to 2026-11-24T10:03:00Z, got ",
        ),
        (
            "metric=tie&limit=1",
            400,
            "limit: expected one of metric, from, to",
        ),
    ] {
        let response = server.get(&format!("/v1/coverage?{query}")).await;
        assert_eq!(response.status().as_u16(), status, "{query}");
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "application/problem+json", "{query}");
        let problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{query}: {detail}");
    }
}
