//! Rule specs that users write: samples, and the alerts that they expect.
//!
//! ```yaml
//! tests:
//!   - name: a tripled volume is one alert
//!     metric: binance:hottry:volume
//!     rule: {factor: 3, cooldown_minutes: 60}
//!     start: 2026-01-01T00:00:00Z
//!     samples: 100x60 301 100x10      # VALUE, VALUExTIMES, _ is a minute without a sample
//!     alerts:
//!       - {at: "2026-01-01T01:00:00Z", value: 301, ratio: 3.01}
//! ```

use std::collections::BTreeMap;

use marketlake_common::excerpt;
use marketlake_lake::Point;
use marketlake_model::{Exact, Jump, Metric, Millis, Minute, parse_time, with_rule_fields};
use serde::Deserialize;

use crate::rules::evaluation::{AlertCounts, RuleEvaluator};
use crate::rules::rule::ScopedRule;
use crate::rules::state_machine::RuleState;
use crate::subscriptions::spec::SubscriptionSpec;

/// Longer than any test needs; a slip of the finger must not fill the memory.
const MAX_SAMPLES: usize = 1_000_000;

/// Error of a file of rule specs.
#[derive(Debug, thiserror::Error)]
pub enum RuleTestError {
    /// It is not what a file of tests looks like.
    #[error("{0}")]
    Unreadable(String),
    /// One test's field cannot be used.
    #[error("test {test:?}: {field}: {reason}")]
    Field {
        /// The test.
        test: String,
        /// The field.
        field: String,
        /// The expected form.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    metric: Option<String>,
    #[serde(default)]
    rule: RuleText,
    start: String,
    samples: String,
    #[serde(default)]
    alerts: Vec<Expected>,
    /// States, where they matter: `ok`, `pending`, `firing`, `no_data`.
    #[serde(default)]
    states: Vec<ExpectedState>,
}

macro_rules! define_rule_text {
    (
        jump { $($(#[$jump_doc:meta])* $jump:ident: $jump_kind:ident $jump_type:ident,)* }
        alerting { $($(#[$doc:meta])* $field:ident: $kind:ident $type:ident,)* }
        lifetime { $($(#[$end_doc:meta])* $end:ident: $end_kind:ident $end_type:ident,)* }
    ) => {
        /// A rule; its lifetime is a number of alerts only.
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct RuleText {
            $($(#[$jump_doc])* $jump: Option<$jump_type>,)*
            $($(#[$doc])* $field: Option<$type>,)*
            max_alerts: Option<i64>,
        }

        impl RuleText {
            fn spec(&self, metric: &Metric) -> SubscriptionSpec {
                SubscriptionSpec {
                    metric: metric.to_string(),
                    $($jump: self.$jump.clone(),)*
                    $($field: self.$field.clone(),)*
                    max_alerts: self.max_alerts,
                    ..SubscriptionSpec::default()
                }
            }
        }
    };
}

with_rule_fields!(
    define_rule_text,
    decimal: String,
    text: String,
    count: i64,
    time: String
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    at: String,
    value: Option<String>,
    ratio: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedState {
    at: String,
    state: String,
}

/// Result of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTestResult {
    /// Its name.
    pub name: String,
    /// Differences from the expectation; empty if there are none.
    pub differences: Vec<String>,
}

/// Runs the tests of a file.
///
/// # Errors
/// If the file cannot be used.
pub fn run(text: &str) -> Result<Vec<RuleTestResult>, RuleTestError> {
    let file: File = serde_saphyr::from_str(text)
        .map_err(|error| RuleTestError::Unreadable(error.to_string()))?;
    file.tests.iter().map(run_one).collect()
}

fn run_one(test: &Test) -> Result<RuleTestResult, RuleTestError> {
    let wrong = |field: &str, reason: String| RuleTestError::Field {
        test: test.name.clone(),
        field: field.to_owned(),
        reason,
    };
    let time = |field: &str, text: &str| {
        let parsed = parse_time(text).map(Millis::minute);
        parsed.map_err(|error| wrong(field, error.to_string()))
    };
    let metric = test.metric.as_deref().unwrap_or("test:metric");
    let metric: Metric = metric
        .parse()
        .map_err(|error| wrong("metric", format!("{error}")))?;
    let scoped_rule = scoped_rule(test, &metric)
        .map_err(|(field, reason)| wrong(&format!("rule.{field}"), reason))?;
    let start = time("start", &test.start)?;
    let points = samples(&test.samples, start).map_err(|reason| wrong("samples", reason))?;
    let (alerts, states) = evaluate(&scoped_rule, &metric, &points.0, start, points.1);
    let mut differences = Vec::new();
    let mut there: BTreeMap<Minute, Jump> =
        alerts.into_iter().map(|jump| (jump.ts, jump)).collect();
    for expected in &test.alerts {
        let at = time("alerts.at", &expected.at)?;
        match there.remove(&at) {
            None => differences.push(format!(
                "expected an alert at {at}, found none: the rule was {}",
                state_at(&states, at)
            )),
            Some(jump) => differences.extend(compare(expected, &jump)),
        }
    }
    for jump in there.values() {
        differences.push(format!(
            "expected no alert at {}, found one: {} is {:.4} times the mean {} of {} samples",
            jump.ts, jump.value, jump.ratio, jump.mean, jump.samples
        ));
    }
    for expected in &test.states {
        let at = time("states.at", &expected.at)?;
        let is = state_at(&states, at);
        let word = is.split(':').next().unwrap_or_default();
        if word != expected.state {
            differences.push(format!(
                "expected the state {} at {at}, it is {is}",
                expected.state
            ));
        }
    }
    Ok(RuleTestResult {
        name: test.name.clone(),
        differences,
    })
}

fn scoped_rule(test: &Test, metric: &Metric) -> Result<ScopedRule, (&'static str, String)> {
    match test.rule.spec(metric).check_rule() {
        Ok((pattern, rule)) => Ok(ScopedRule {
            pattern,
            rule,
            muted_until: None,
        }),
        Err(errors) => {
            let first = errors.into_iter().next();
            Err(first.map_or(("rule", String::new()), |error| {
                (error.field, error.message)
            }))
        }
    }
}

/// `100x60 _ 301`: the samples, and how many minutes they span.
fn samples(text: &str, start: Minute) -> Result<(Vec<Point>, i64), String> {
    let mut points = Vec::new();
    let mut minute = 0;
    for word in text.split_whitespace() {
        let (value, times) = match word.split_once('x') {
            Some((value, times)) => {
                let times = times.parse::<u32>().map_err(|_| {
                    format!("expected VALUE or VALUExTIMES, got {:?}", excerpt(word))
                })?;
                (value, times)
            }
            None => (word, 1),
        };
        let value = match value {
            "_" => None,
            value => Some(value.parse::<Exact>().map_err(|error| error.to_string())?),
        };
        if points.len() + times as usize > MAX_SAMPLES {
            return Err(format!("expected at most {MAX_SAMPLES} samples"));
        }
        for _ in 0..times {
            let ts = start.plus(minute);
            points.extend(value.map(|value| Point { ts, value }));
            minute += 1;
        }
    }
    Ok((points, minute))
}

type States = Vec<(Minute, String)>;

fn evaluate(
    scoped_rule: &ScopedRule,
    metric: &Metric,
    points: &[Point],
    start: Minute,
    minutes: i64,
) -> (Vec<Jump>, States) {
    let mut track = RuleEvaluator::new(&scoped_rule.rule, metric, points, RuleState::default());
    let (mut tally, mut last) = (AlertCounts::default(), None);
    let (mut alerts, mut states) = (Vec::new(), Vec::new());
    for minute in 0..minutes {
        let ts = start.plus(minute);
        let moment = track.evaluate(ts);
        let word = track.watch.state;
        let mut said = moment.step.reason.map(|reason| format!("{word}: {reason}"));
        if let Some(jump) = moment.jump {
            match tally.admit(scoped_rule, ts, last) {
                Ok(()) => {
                    last = Some(ts);
                    alerts.push(jump);
                }
                Err(held) => {
                    let words = held.in_words(&scoped_rule.rule);
                    said = said.map(|said| format!("{said}; {words}"));
                }
            }
        }
        states.extend(said.map(|said| (ts, said)));
    }
    (alerts, states)
}

fn state_at(states: &States, at: Minute) -> String {
    let before = states.iter().rev().find(|(ts, _)| *ts <= at);
    before.map_or_else(
        || "ok".to_owned(),
        |(ts, said)| format!("{said} (since {ts})"),
    )
}

fn compare(expected: &Expected, jump: &Jump) -> Vec<String> {
    let mut differences = Vec::new();
    if let Some(value) = &expected.value
        && value.parse::<Exact>() != Ok(jump.value)
    {
        differences.push(format!(
            "expected the value {value} at {}, it is {}",
            jump.ts, jump.value
        ));
    }
    if let Some(ratio) = &expected.ratio {
        // As many decimals as were written.
        let decimals = ratio
            .split_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
        let is = format!("{:.decimals$}", jump.ratio);
        if is != *ratio {
            differences.push(format!(
                "expected the ratio {ratio} at {}, it is {is}",
                jump.ts
            ));
        }
    }
    differences
}
