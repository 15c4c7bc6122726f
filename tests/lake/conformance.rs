//! Known outcomes, on every engine and every state of an hour.

use std::sync::Arc;

use marketlake_lake::{Aggregate, Bucket, JumpQuery, Lake, QueryEngine, Span, Statistic};
use marketlake_model::{Exact, JumpRule, Sample};

use super::{compact_all, compact_days, import, ingest};
use crate::support::athena::Standin;
use crate::support::base::{Base, on_both};
use crate::support::samples::{metric, sample, series, start};

/// State of the hour that holds the samples.
#[derive(Clone, Copy, Debug)]
enum State {
    Raw,
    Compacted,
    Imported,
    /// Merged into a day's segment.
    Daily,
    /// The first half imported, a raw hour compacted, the rest raw.
    Mixed,
    /// The first half in a day's segment, then an hour's, the rest raw.
    DayHourRaw,
}

const STATES: [State; 6] = [
    State::Raw,
    State::Compacted,
    State::Imported,
    State::Daily,
    State::Mixed,
    State::DayHourRaw,
];

async fn filled(base: &Base, state: State, samples: &[Sample]) -> Arc<Lake> {
    let lake = base.lake().await;
    match state {
        State::Raw => ingest(&lake, samples).await,
        State::Compacted => {
            ingest(&lake, samples).await;
            compact_all(&lake).await;
        }
        State::Imported => import(&lake, samples).await,
        State::Daily => {
            ingest(&lake, samples).await;
            compact_days(&lake).await;
        }
        State::Mixed | State::DayHourRaw => {
            let (first, second): (Vec<Sample>, Vec<Sample>) = samples
                .iter()
                .cloned()
                .partition(|sample| sample.ts < start().plus(2));
            import(&lake, &first).await;
            if matches!(state, State::DayHourRaw) {
                compact_days(&lake).await;
            }
            let (middle, last): (Vec<Sample>, Vec<Sample>) = second
                .into_iter()
                .partition(|sample| sample.ts < start().plus(30));
            ingest(&lake, &middle).await;
            compact_all(&lake).await;
            ingest(&lake, &last).await;
        }
    }
    lake
}

/// Runs a check on each engine, store, database and state; all at once, since most of it is waiting
/// for disks.
pub(super) async fn everywhere(samples: &[Sample], check: impl AsyncFn(&dyn QueryEngine, Span)) {
    let check = &check;
    let runs = STATES.into_iter().map(|state| async move {
        on_both(async |base: Base| {
            let lake = filled(&base, state, samples).await;
            lake.queries().follow(0).await.unwrap();
            let day = lake.queries().last_24h(None).await.unwrap().unwrap();
            assert!(lake.recent_day().covers(day));
            eprintln!("{state:?} on {}: the Parquet files", base.name);
            check(&lake.datafusion(), day).await;
            eprintln!("{state:?} on {}: the window", base.name);
            check(lake.recent_day().as_ref(), day).await;
            if base.store.endpoint.is_some() {
                eprintln!("{state:?} on {}: Athena", base.name);
                let athena = Standin::of(&base, 1).await.connect(&lake).await;
                check(&athena, day).await;
            }
        })
        .await;
    });
    futures::future::join_all(runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_listed_once_by_id() {
    let mut samples = series("b:two", 0, &["1", "2", "3"]);
    samples.extend(series("a:one", 1, &["1", "2"]));
    samples.extend(series("a:one:volume", 40, &["7"]));
    everywhere(&samples, async |engine, day| {
        let ids: Vec<String> = engine
            .metrics(day)
            .await
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(ids, ["a:one", "a:one:volume", "b:two"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_has_its_exact_values_and_its_gaps() {
    let values = [
        ("0", "0.06076"),
        ("1", "1e-16"),
        ("5", "1.7e21"),
        ("40", "0"),
        ("41", "123456789.012345678"),
    ];
    let samples: Vec<Sample> = values
        .iter()
        .map(|(at, v)| sample("a:one", at.parse().unwrap(), v))
        .collect();
    everywhere(&samples, async |engine, day| {
        let points = engine.timeseries(&metric("a:one"), day).await.unwrap();
        let shown: Vec<(i64, String)> = points
            .iter()
            .map(|p| (p.ts.number() - start().number(), p.value.to_string()))
            .collect();
        let expected = [
            (0, "0.06076"),
            (1, "0.0000000000000001"),
            (5, "1700000000000000000000"),
            (40, "0"),
            (41, "123456789.012345678"),
        ];
        assert_eq!(shown, expected.map(|(at, v)| (at, v.to_owned())));
        let part = Span {
            from: start().plus(1),
            to: start().plus(5),
        };
        assert_eq!(
            engine
                .timeseries(&metric("a:one"), part)
                .await
                .unwrap()
                .len(),
            2
        );
        assert_eq!(engine.timeseries(&metric("a:none"), day).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rank_shares_a_place_between_ties_and_leaves_the_unranked_out() {
    let mut samples = series("a:top", 0, &["10", "30", "20"]);
    samples.extend(series("a:tie", 0, &["0.1", "0.2", "0.3", "0.7"]));
    samples.extend(series("b:tie", 0, &["0.1", "0.2", "0.3", "0.7"]));
    // Large numbers with small moves: their spread has no digits left where squares are summed.
    samples.extend(series(
        "a:large",
        0,
        &["100000000.01", "100000000.02", "100000000.03"],
    ));
    samples.extend(series("a:flat", 0, &["5", "5", "5"]));
    samples.extend(series("a:single", 2, &["9"]));
    samples.extend(series("a:top:volume", 0, &["1000", "9000"]));
    everywhere(&samples, async |engine, day| {
        let ranking = engine
            .ranking("price", Statistic::Stddev, day)
            .await
            .unwrap();
        let standings = ranking.ranked();
        let places: Vec<(u64, &str)> = standings.iter().map(|s| (s.rank, s.metric.id())).collect();
        assert_eq!(
            places,
            [
                (1, "a:top"),
                (2, "a:tie"),
                (2, "b:tie"),
                (4, "a:large"),
                (5, "a:flat")
            ]
        );
        // 0.1, 0.2, 0.3, 0.7: mean 0.325, squares of the differences 0.2075 in all, over 3.
        let tie = (0.2075_f64 / 3.0).sqrt();
        for (standing, expected) in standings.iter().zip([10.0, tie, tie, 0.01, 0.0]) {
            assert!(
                (standing.value - expected).abs() <= 1e-6 * expected,
                "{standing:?}, expected {expected}"
            );
        }
        let volumes = engine
            .ranking("volume", Statistic::Stddev, day)
            .await
            .unwrap();
        assert_eq!(volumes.ranked().len(), 1);
        assert_eq!(
            engine
                .ranking("volume24h", Statistic::Stddev, day)
                .await
                .unwrap()
                .ranked(),
            []
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_is_strictly_above_three_times_the_mean_of_the_hour_before() {
    let hour = vec!["0.1"; 60];
    let mut samples = series("a:equal", 0, &hour);
    samples.push(sample("a:equal", 60, "0.3"));
    samples.extend(series("a:above", 0, &hour));
    samples.push(sample("a:above", 60, "0.30000001"));
    // 44 of the 60 minutes before are there, then 45.
    samples.extend(series("a:few", 16, &hour[..44]));
    samples.push(sample("a:few", 60, "9"));
    samples.extend(series("a:enough", 15, &hour[..45]));
    samples.push(sample("a:enough", 60, "9"));
    samples.extend(series("a:zero", 0, &vec!["0"; 60]));
    samples.push(sample("a:zero", 60, "9"));
    // The sample of 61 minutes ago does not count any more.
    samples.push(sample("a:old", -1, "1000000"));
    samples.extend(series("a:old", 0, &hour));
    samples.push(sample("a:old", 60, "0.4"));
    everywhere(&samples, async |engine, day| {
        let query = |metric| JumpQuery {
            rule: JumpRule::default(),
            span: Span {
                from: start().plus(60),
                to: day.to,
            },
            metric,
        };
        let jumps = engine.jumps(&query(None)).await.unwrap();
        let found: Vec<(&str, String, u32)> = jumps
            .iter()
            .map(|j| (j.metric.id(), j.value.to_string(), j.samples))
            .collect();
        let expected = [
            ("a:above", "0.30000001", 60),
            ("a:enough", "9", 45),
            ("a:old", "0.4", 60),
        ];
        assert_eq!(found, expected.map(|(m, v, n)| (m, v.to_owned(), n)));
        assert!((jumps[0].mean - 0.1).abs() < 1e-12 && (jumps[0].ratio - 3.000_000_1).abs() < 1e-9);
        assert_eq!(
            engine.jumps(&query(Some(metric("a:above")))).await.unwrap(),
            jumps[..1]
        );
        assert_eq!(
            engine.jumps(&query(Some(metric("a:equal")))).await.unwrap(),
            []
        );
        let strict = JumpRule::with_window(Exact::new(80, 0).unwrap(), 30);
        let few = engine
            .jumps(&JumpQuery {
                rule: strict,
                ..query(None)
            })
            .await
            .unwrap();
        assert_eq!(
            few.iter().map(|j| j.metric.id()).collect::<Vec<_>>(),
            ["a:enough", "a:few"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_of_any_length_have_the_aggregates_of_their_samples() {
    // An hour and a half of 1, 2, 3, .. with a gap of ten minutes in it.
    let mut samples = Vec::new();
    for at in (0..90).filter(|at| !(20..30).contains(at)) {
        samples.push(sample("a:one", at, &format!("{}.5", at + 1)));
    }
    // Another metric of the same times must not count.
    samples.extend(series("b:two", 0, &["9"; 90]));
    let value = |bucket: &Bucket, aggregate| bucket.value(aggregate).unwrap().to_string();
    everywhere(&samples, async |engine, day| {
        let query_buckets = async |text: &str, span| {
            let interval = text.parse().unwrap();
            engine
                .buckets(&metric("a:one"), span, interval)
                .await
                .unwrap()
        };
        let hours = query_buckets("1h", day).await;
        let shown: Vec<Vec<String>> = hours
            .iter()
            .map(|bucket| {
                Aggregate::ALL
                    .iter()
                    .map(|a| value(bucket, *a))
                    .collect::<Vec<_>>()
            })
            .collect();
        // Minutes 1 to 20 and 31 to 60, each and a half: 1,575 + 25 in all; then 61 to 90: 2,265 +
        // 15 in all.
        let expected = [
            ["32", "1.5", "60.5", "1.5", "60.5", "1600", "50"],
            ["76", "61.5", "90.5", "61.5", "90.5", "2280", "30"],
        ];
        assert_eq!(shown, expected);
        let ten = query_buckets("10m", day).await;
        let starts: Vec<i64> = ten
            .iter()
            .map(|b| b.start.number() - start().number())
            .collect();
        assert_eq!(starts, [0, 10, 30, 40, 50, 60, 70, 80]);
        let whole_day = query_buckets("1d", day).await;
        assert_eq!(whole_day.len(), 1);
        assert_eq!(
            (whole_day[0].count, value(&whole_day[0], Aggregate::Avg)),
            (80, "48.5".to_owned())
        );
        // A span that cuts both hours.
        let part = Span {
            from: start().plus(50),
            to: start().plus(61),
        };
        let cut = query_buckets("1h", part).await;
        let counts: Vec<u64> = cut.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [10, 2]);
        assert_eq!(value(&cut[1], Aggregate::First), "61.5");
        let none = engine
            .buckets(&metric("a:none"), day, "5m".parse().unwrap())
            .await;
        assert_eq!(none.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_lake_has_empty_answers() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        lake.queries().follow(0).await.unwrap();
        assert_eq!(lake.queries().last_24h(None).await.unwrap(), None);
        let day = Span::last_24h(start());
        let query = JumpQuery {
            rule: JumpRule::default(),
            span: day,
            metric: None,
        };
        for engine in [
            &lake.datafusion() as &dyn QueryEngine,
            lake.recent_day().as_ref(),
            &lake.engine(),
        ] {
            assert_eq!(engine.metrics(day).await.unwrap(), []);
            assert_eq!(engine.timeseries(&metric("a:one"), day).await.unwrap(), []);
            assert_eq!(
                engine
                    .ranking("price", Statistic::Stddev, day)
                    .await
                    .unwrap()
                    .ranked(),
                []
            );
            assert_eq!(engine.jumps(&query).await.unwrap(), []);
        }
    })
    .await;
}
