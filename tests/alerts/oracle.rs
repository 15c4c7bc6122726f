//! The machine against plain loops, and against what others counted on real minutes.

use std::io::Read;

use marketlake_alerts::Rule;
use marketlake_alerts::rules::evaluation::RuleEvaluator;
use marketlake_alerts::rules::state_machine::RuleState;
use marketlake_lake::Point;
use marketlake_model::{Direction, Exact, JumpRule, Metric, Minute};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::recordings;
use crate::support::samples::metric;

fn exact(number: i64, scale: i8) -> Exact {
    Exact::new(number, scale).unwrap()
}

/// The minutes at which a rule fires, by the machine.
fn fires(rule: &Rule, metric: &Metric, points: &[Point], first: i64, last: i64) -> Vec<i64> {
    let mut track = RuleEvaluator::new(rule, metric, points, RuleState::default());
    let minutes =
        (first..=last).filter(|&at| track.evaluate(Minute::from_number(at)).jump.is_some());
    minutes.collect()
}

/// The same by loops over whole numbers of the same scale, each minute from its beginning.
fn plain(rule: &Rule, values: &[Option<i64>], times: i64) -> Vec<i64> {
    let (window, least) = (rule.jump.window as usize, rule.jump.min_samples as usize);
    let resolve_factor = rule.resolve_factor.map_or(times, Exact::unscaled);
    let (mut firing, mut streak, mut fired) = (false, 0, Vec::new());
    for at in 0..values.len() {
        let before: Vec<i64> = values[at.saturating_sub(window)..at]
            .iter()
            .flatten()
            .copied()
            .collect();
        let sum: i64 = before.iter().sum();
        let Some(value) = values[at] else { continue };
        if before.len() < least || sum <= 0 {
            continue;
        }
        let count = i64::try_from(before.len()).unwrap();
        let beyond = |times: i64| match rule.jump.direction {
            Direction::Up => value * count > times * sum,
            Direction::Down => value * count * times < sum,
        };
        if firing {
            firing = beyond(resolve_factor);
            streak = 0;
        } else if beyond(times) {
            streak += 1;
            if streak >= rule.for_minutes {
                firing = true;
                fired.push(i64::try_from(at).unwrap());
            }
        } else {
            streak = 0;
        }
    }
    fired
}

#[test]
fn the_machine_fires_where_plain_loops_do_on_ten_thousand_random_series() {
    let metric = metric("test:pair");
    let mut random = StdRng::seed_from_u64(2026);
    let mut fired = 0;
    for case in 0..10_000 {
        let times = random.random_range(2..5);
        let window = random.random_range(1..40);
        let for_minutes = random.random_range(1..4);
        let direction = if random.random_bool(0.3) {
            Direction::Down
        } else {
            Direction::Up
        };
        let resolve_factor = random
            .random_bool(0.3)
            .then(|| exact(random.random_range(1..=times), 0));
        let rule = Rule {
            for_minutes,
            resolve_factor,
            ..Rule::new(JumpRule {
                factor: exact(times, 0),
                window,
                min_samples: random.random_range(1..=window),
                direction,
            })
        };
        let holes = random.random_range(0.0..0.4);
        let values: Vec<Option<i64>> = (0..120)
            .map(|_| {
                let wild = random.random_bool(0.15);
                let value = random.random_range(-3..40) * if wild { 10 } else { 1 };
                (!random.random_bool(holes)).then_some(value)
            })
            .collect();
        let points: Vec<Point> = (0..)
            .zip(&values)
            .filter_map(|(at, value)| {
                let value = value.as_ref().map(|&value| exact(value, 4))?;
                Some(Point {
                    ts: Minute::from_number(at),
                    value,
                })
            })
            .collect();
        let found = fires(&rule, &metric, &points, 0, 119);
        assert_eq!(found, plain(&rule, &values, times), "case {case}: {rule:?}");
        fired += found.len();
    }
    assert!(fired > 10_000, "{fired} firings say little");
}

/// The candles of a pair: minute, and the text of one column.
fn candles(name: &str, column: usize) -> Option<Vec<(i64, String)>> {
    let path = recordings::folder()?.join("freqtrade/1m_201801").join(name);
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let rows: Vec<Vec<Box<serde_json::value::RawValue>>> = serde_json::from_str(&text).unwrap();
    let rows = rows.iter().map(|row| {
        let ts: i64 = row[0].get().parse().unwrap();
        (ts / 60_000, row[column].get().to_owned())
    });
    Some(rows.collect())
}

fn points(candles: &[(i64, String)]) -> Vec<Point> {
    let points = candles.iter().map(|(ts, text)| Point {
        ts: Minute::from_number(*ts),
        value: text.parse().unwrap(),
    });
    points.collect()
}

/// Every minute that is beyond the rule, whether or not the one before was: what the machine sees,
/// without its memory.
fn beyond(rule: &JumpRule, points: &[Point]) -> Vec<i64> {
    let id = metric("test:pair");
    let mut found = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let from = point.ts.plus(-i64::from(rule.window));
        let start = points.partition_point(|p| p.ts < from);
        let before = points[start..index].iter().map(|p| p.value).collect();
        if rule.jump(&id, point.ts, point.value, &before).is_some() {
            found.push(point.ts.number());
        }
    }
    found
}

/// The same in floats by plain loops; the values' digits are far from where floats could differ.
fn beyond_in_floats(rule: &JumpRule, candles: &[(i64, String)]) -> Vec<i64> {
    let values: Vec<(i64, f64)> = candles
        .iter()
        .map(|(ts, text)| (*ts, text.parse().unwrap()))
        .collect();
    let mut found = Vec::new();
    for (index, (ts, value)) in values.iter().enumerate() {
        let before: Vec<f64> = values[..index]
            .iter()
            .rev()
            .take_while(|(at, _)| *at >= ts - i64::from(rule.window))
            .map(|(_, value)| *value)
            .collect();
        let mean = before.iter().sum::<f64>() / before.len() as f64;
        if before.len() >= rule.min_samples as usize && mean > 0.0 && *value > 3.0 * mean {
            found.push(*ts);
        }
    }
    found
}

#[test]
fn real_volumes_jump_as_often_as_was_counted_by_others() {
    let Some(candles) = candles("ETH_BTC-1m.json.gz", 5) else {
        return;
    };
    let points = points(&candles);
    // Counted elsewhere with at least 30 samples in the 60 minutes before: 907 of 14,367 minutes.
    let thirty = JumpRule {
        min_samples: 30,
        ..JumpRule::default()
    };
    assert_eq!(
        (beyond(&thirty, &points).len(), evaluated(&thirty, &points)),
        (907, 14_367)
    );
    // With our 45 the same minutes are jumps; 15 minutes fewer are evaluated, all of them at the
    // series' begin.
    let ours = JumpRule::default();
    assert_eq!(beyond(&ours, &points), beyond(&thirty, &points));
    assert_eq!(evaluated(&ours, &points), 14_352);
    assert_eq!(beyond(&ours, &points), beyond_in_floats(&ours, &candles));
}

/// Minutes about which a rule can speak.
fn evaluated(rule: &JumpRule, points: &[Point]) -> usize {
    let enough = points.iter().enumerate().filter(|(index, point)| {
        let from = point.ts.plus(-i64::from(rule.window));
        let start = points.partition_point(|p| p.ts < from);
        let before = points[start..*index].iter().map(|p| p.value).collect();
        rule.no_data(&before).is_none()
    });
    enough.count()
}

#[test]
fn on_every_recording_machine_and_loops_agree_price_and_volume() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let mut series = 0;
    for entry in std::fs::read_dir(folder.join("freqtrade/1m_201801")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for column in [4, 5] {
            let candles = candles(&name, column).unwrap();
            let points = points(&candles);
            let jumps = beyond(&JumpRule::default(), &points);
            assert_eq!(
                jumps,
                beyond_in_floats(&JumpRule::default(), &candles),
                "{name} {column}"
            );
            // The machine fires where a jump follows none: each of its firings is a jump, and the
            // first of each run of them fires.
            let rule = Rule::new(JumpRule::default());
            let (first, last) = (candles[0].0, candles[candles.len() - 1].0);
            let fired = fires(&rule, &metric("test:pair"), &points, first, last);
            assert!(fired.iter().all(|at| jumps.contains(at)), "{name} {column}");
            assert_eq!(fired.is_empty(), jumps.is_empty(), "{name} {column}");
            series += 1;
        }
    }
    assert_eq!(series, 22);
}
