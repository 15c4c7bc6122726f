//! Random lakes: every engine against plain loops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use marketlake_lake::{Aggregate, Bucket, Interval, JumpQuery, QueryEngine, Span, Statistic};
use marketlake_model::{Exact, JumpRule, Metric, Sample};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{compact_all, compact_days, import, ingest};
use crate::support::DEEP;
use crate::support::athena::Standin;
use crate::support::base::Base;
use crate::support::samples::{metric, start};

type Series = BTreeMap<Metric, BTreeMap<i64, Exact>>;

/// Up to six metrics, two hours and a half of minutes with holes, values of few digits so that ties
/// come about.
fn any_lake() -> impl Strategy<Value = Vec<(u8, i64, i64)>> {
    prop::collection::vec((0_u8..6, 0_i64..150, 0_i64..40), 1..400)
}

fn plain(rows: &[(u8, i64, i64)]) -> Series {
    let mut series = Series::new();
    for &(which, at, unscaled) in rows {
        let value = Exact::new(unscaled, 1).unwrap();
        series
            .entry(metric(&format!("m:p{which}")))
            .or_default()
            .insert(at, value);
    }
    series
}

fn stddev(values: &[f64]) -> Option<f64> {
    let count = f64::from(u32::try_from(values.len()).unwrap());
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt())
}

/// Jumps in whole tenths: value * count > 3 * sum.
fn plain_jumps(series: &Series, rule: JumpRule) -> BTreeSet<(i64, String)> {
    let tenths = |value: &Exact| value.at_scale(1).unwrap();
    let mut found = BTreeSet::new();
    for (metric, points) in series {
        for (at, value) in points {
            let before: Vec<i64> = points
                .range(at - i64::from(rule.window)..*at)
                .map(|(_, v)| tenths(v))
                .collect();
            let (count, sum) = (
                i64::try_from(before.len()).unwrap(),
                before.iter().sum::<i64>(),
            );
            if count >= i64::from(rule.min_samples) && sum > 0 && tenths(value) * count > 3 * sum {
                found.insert((*at, metric.to_string()));
            }
        }
    }
    found
}

fn compare_buckets(buckets: &[Bucket], points: &BTreeMap<i64, Exact>, minutes: i64) {
    let mut plain: BTreeMap<i64, Vec<Exact>> = BTreeMap::new();
    for (at, value) in points {
        let number = start().plus(*at).number();
        plain
            .entry(number / minutes * minutes)
            .or_default()
            .push(*value);
    }
    assert_eq!(buckets.len(), plain.len());
    for (bucket, (from, values)) in buckets.iter().zip(&plain) {
        assert_eq!(
            (bucket.start.number(), bucket.count),
            (*from, values.len() as u64)
        );
        let (min, max) = (values.iter().min(), values.iter().max());
        assert_eq!((Some(&bucket.min), Some(&bucket.max)), (min, max));
        assert_eq!(
            (Some(&bucket.first), Some(&bucket.last)),
            (values.first(), values.last())
        );
        let sum: i64 = values.iter().map(|value| value.at_scale(1).unwrap()).sum();
        assert_eq!(bucket.value(Aggregate::Sum), Exact::new(sum, 1));
    }
}

async fn compare(rows: Vec<(u8, i64, i64)>, base: Base) {
    let lake = base.lake().await;
    let series = plain(&rows);
    let samples: Vec<Sample> = series
        .iter()
        .flat_map(|(metric, points)| {
            let sample = |(at, value): (&i64, &Exact)| Sample {
                metric: metric.clone(),
                ts: start().plus(*at),
                value: *value,
            };
            points.iter().map(sample)
        })
        .collect();
    let (early, late): (Vec<Sample>, Vec<Sample>) = samples
        .iter()
        .cloned()
        .partition(|s| s.ts < start().plus(70));
    import(&lake, &early).await;
    ingest(&lake, &late[..late.len().min(40)]).await;
    if rows.len().is_multiple_of(2) {
        compact_days(&lake).await;
    } else {
        compact_all(&lake).await;
    }
    import(&lake, &late).await;
    assert_eq!(
        lake.maintenance().check(DEEP).await.unwrap().problems,
        Vec::<String>::new()
    );
    lake.queries().follow(0).await.unwrap();
    let day = lake.queries().last_24h(None).await.unwrap().unwrap();
    let rule = JumpRule {
        min_samples: 5,
        window: 20,
        ..JumpRule::default()
    };
    let mut engines: Vec<Arc<dyn QueryEngine>> = vec![Arc::new(lake.datafusion())];
    engines.push(Arc::clone(lake.recent_day()) as Arc<dyn QueryEngine>);
    if base.store.endpoint.is_some() {
        engines.push(Arc::new(Standin::of(&base, 1).await.connect(&lake).await));
    }
    for engine in engines {
        assert_eq!(
            engine.metrics(day).await.unwrap(),
            series.keys().cloned().collect::<Vec<_>>()
        );
        for (metric, points) in &series {
            let answered = engine.timeseries(metric, day).await.unwrap();
            let answered: BTreeMap<i64, Exact> = answered
                .iter()
                .map(|p| (p.ts.number() - start().number(), p.value))
                .collect();
            assert_eq!(&answered, points);
        }
        for (metric, points) in &series {
            for minutes in [7_u32, 60, 120] {
                let interval = Interval::minutes(minutes).unwrap();
                let buckets = engine.buckets(metric, day, interval).await.unwrap();
                compare_buckets(&buckets, points, i64::from(minutes));
            }
        }
        let ranking = engine
            .ranking("price", Statistic::Stddev, day)
            .await
            .unwrap();
        let standings = ranking.ranked();
        let spreads: BTreeMap<&Metric, f64> = series
            .iter()
            .filter_map(|(metric, points)| {
                Some((
                    metric,
                    stddev(&points.values().map(|v| v.to_f64()).collect::<Vec<_>>())?,
                ))
            })
            .collect();
        assert_eq!(standings.len(), spreads.len());
        for standing in standings {
            let spread = spreads[&standing.metric];
            assert!(
                (standing.value - spread).abs() <= 1e-9 * spread.max(1.0),
                "{standing:?}, expected {spread}"
            );
            let above = standings
                .iter()
                .filter(|other| other.value > standing.value)
                .count();
            assert_eq!(standing.rank, above as u64 + 1);
        }
        // The window reaches back no further than a day; so does this lake.
        let span = Span {
            from: start(),
            to: day.to,
        };
        let jumps = engine
            .jumps(&JumpQuery {
                rule,
                span,
                metric: None,
            })
            .await
            .unwrap();
        let jumps: BTreeSet<(i64, String)> = jumps
            .iter()
            .map(|j| (j.ts.number() - start().number(), j.metric.to_string()))
            .collect();
        assert_eq!(jumps, plain_jumps(&series, rule));
    }
}

fn on_random_lakes(cases: u32, base: impl AsyncFn() -> Base) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&any_lake(), |rows| {
            runtime.block_on(async { compare(rows, base().await).await });
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_engine_agrees_with_plain_loops_on_random_lakes() {
    on_random_lakes(12, Base::local);
}

#[test]
fn athena_agrees_with_plain_loops_on_random_lakes() {
    on_random_lakes(6, Base::remote);
}
