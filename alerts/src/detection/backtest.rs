//! Backtests a rule: the alerts that it would have sent, by the state machine that evaluates it
//! later.

use std::collections::BTreeMap;

use marketlake_lake::{Lake, QueryEngine, Span};
use marketlake_model::{Direction, Jump, Metric, Minute, Pattern};

use crate::delivery::outbox::enqueue_alerts::MIN_DIGEST_ALERTS;
use crate::error::{AlertError, FieldError};
use crate::rules::evaluation::{AlertCounts, RuleEvaluator, reach};
use crate::rules::rule::{Rule, ScopedRule};
use crate::rules::state_machine::RuleState;
use crate::subscriptions::spec::{SubscriptionSpec, check_matches};

/// More mails a day than this are a warning, and make a noisy day.
pub(crate) const MIN_NOISY_DAY_ALERTS: usize = 5;
/// The longest time that is evaluated, in days.
pub const MAX_BACKTEST_DAYS: u32 = 366;
/// The most metric-days that one backtest reads.
pub(crate) const MAX_BACKTEST_WORK: usize = 4_000;
const DAY: i64 = 1_440;

/// Result of a backtest.
#[derive(Clone, Debug)]
pub struct Backtest {
    /// The minutes that were evaluated.
    pub span: Span,
    /// Number of metrics that the pattern matches.
    pub metrics: usize,
    /// Samples evaluated.
    pub samples: u64,
    /// The alerts that there would have been, by time, then metric.
    pub alerts: Vec<Jump>,
    /// Mails that they would have been: many at one minute are one.
    pub mails: usize,
    /// Jumps that made no alert, because of cooldown or limits.
    pub suppressed: usize,
    /// The sample farthest from its mean, the rule's way, whether or not it jumped.
    pub farthest: Option<Jump>,
    /// Mails by UTC day, every day of the span.
    pub days: Vec<(String, usize)>,
}

/// Warning about a backtest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// There would have been no mail at all.
    Never,
    /// More than `MIN_NOISY_DAY_ALERTS` mails a day on average.
    TooOften,
}

impl Warning {
    /// The warning, for people.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Never => "this rule would not have sent a single mail in that time",
            Self::TooOften => "this rule would have sent more than five mails a day",
        }
    }
}

impl Backtest {
    /// Number of days of 24 hours that were evaluated. They touch one more UTC day, unless they
    /// end with one.
    #[must_use]
    pub fn span_days(&self) -> i64 {
        (self.span.to.number() - self.span.from.number() + 1) / DAY
    }

    /// The warning about it, if any.
    #[must_use]
    pub fn warning(&self) -> Option<Warning> {
        if self.mails == 0 {
            Some(Warning::Never)
        } else if self.mails > MIN_NOISY_DAY_ALERTS * self.days.len() {
            Some(Warning::TooOften)
        } else {
            None
        }
    }

    /// Days without a mail.
    #[must_use]
    pub fn quiet_days(&self) -> usize {
        self.days.iter().filter(|(_, mails)| *mails == 0).count()
    }

    /// Days with more than `MIN_NOISY_DAY_ALERTS` mails.
    #[must_use]
    pub fn noisy_days(&self) -> usize {
        self.days
            .iter()
            .filter(|(_, mails)| *mails > MIN_NOISY_DAY_ALERTS)
            .count()
    }
}

/// Checks what was typed, and evaluates the last `days` up to a minute, by default the newest.
/// `None` where nothing has been recorded yet.
///
/// # Errors
/// If the lake fails. Fields that are wrong, a pattern that means nothing or over `max_metrics`,
/// and a time that is too long are the inner error.
pub async fn try_out(
    lake: &Lake,
    new: &SubscriptionSpec,
    days: u32,
    at: Option<Minute>,
    max_metrics: usize,
) -> Result<Result<Option<Backtest>, Vec<FieldError>>, AlertError> {
    let (pattern, rule) = match new.check_rule() {
        Ok(checked) => checked,
        Err(errors) => return Ok(Err(errors)),
    };
    if let Err(error) = check_matches(&pattern, lake.directory().metrics(), max_metrics) {
        return Ok(Err(vec![error]));
    }
    let at = match at {
        Some(at) => Some(at),
        None => lake.newest().await?,
    };
    let Some(at) = at else { return Ok(Ok(None)) };
    let found = backtest(lake, &pattern, &rule, days, at).await?;
    Ok(found.map(Some).map_err(|error| vec![error]))
}

/// Number of days of a pattern's metrics that are together a number of metric-days; at least one.
#[must_use]
pub fn backtest_days_within(lake: &Lake, pattern: &Pattern, metric_days: usize) -> u32 {
    let directory = lake.directory();
    let metrics = directory.metrics().filter(|m| pattern.matches(m)).count();
    let days = metric_days / metrics.max(1);
    u32::try_from(days).map_or(MAX_BACKTEST_DAYS, |days| days.clamp(1, MAX_BACKTEST_DAYS))
}

/// Evaluates the last `days` up to a minute.
///
/// # Errors
/// If the lake fails. A pattern and a time that together are too much to read are the inner error.
pub async fn backtest(
    lake: &Lake,
    pattern: &Pattern,
    rule: &Rule,
    days: u32,
    at: Minute,
) -> Result<Result<Backtest, FieldError>, AlertError> {
    if !(1..=MAX_BACKTEST_DAYS).contains(&days) {
        let message = format!("expected a number from 1 to {MAX_BACKTEST_DAYS}, got {days}");
        return Ok(Err(FieldError::invalid("days", message)));
    }
    let directory = lake.directory();
    let metrics: Vec<Metric> = directory
        .metrics()
        .filter(|m| pattern.matches(m))
        .cloned()
        .collect();
    let work = metrics.len() * usize::try_from(days).unwrap_or(usize::MAX);
    if work > MAX_BACKTEST_WORK {
        let most = backtest_days_within(lake, pattern, MAX_BACKTEST_WORK);
        let message = format!(
            "expected at most {most} days for a pattern of {} metrics, got {days}",
            metrics.len()
        );
        return Ok(Err(FieldError::invalid("days", message)));
    }
    let span = Span {
        from: at.plus(1 - i64::from(days) * DAY),
        to: at,
    };
    let rule = &Rule {
        expires_at: None,
        ..*rule
    };
    let mut run = Run::default();
    for metric in &metrics {
        let points = lake.engine().timeseries(metric, reach(rule, span)).await?;
        run.take(evaluate(rule, metric, &points, span), rule);
        tokio::task::yield_now().await;
    }
    let scoped_rule = ScopedRule {
        pattern: pattern.clone(),
        rule: *rule,
        muted_until: None,
    };
    Ok(Ok(run.finish(&scoped_rule, span, metrics.len())))
}

/// Result of one metric.
#[derive(Default)]
struct OfMetric {
    samples: u64,
    fired: Vec<Jump>,
    farthest: Option<Jump>,
}

fn evaluate(
    rule: &Rule,
    metric: &Metric,
    points: &[marketlake_lake::Point],
    span: Span,
) -> OfMetric {
    let mut found = OfMetric::default();
    let start = points.partition_point(|point| point.ts < span.from);
    let Some(first) = points.get(start) else {
        return found;
    };
    let mut track = RuleEvaluator::new(rule, metric, points, RuleState::default());
    let mut next = start;
    let mut farthest: Option<(f64, usize, f64, u32)> = None;
    for minute in first.ts.number()..=span.to.number() {
        let minute = Minute::from_number(minute);
        let moment = track.evaluate(minute);
        let here = points.get(next).filter(|point| point.ts == minute);
        if here.is_some() {
            found.samples += 1;
            if let Some(ratio) = moment.step.ratio
                && farthest.is_none_or(|(most, ..)| beyond(rule, ratio, most))
            {
                farthest = Some((ratio, next, track.mean(), track.count()));
            }
            next += 1;
        }
        found.fired.extend(moment.jump);
        if next == points.len() {
            break;
        }
    }
    found.farthest = farthest.map(|(ratio, at, mean, samples)| Jump {
        metric: metric.clone(),
        ts: points[at].ts,
        value: points[at].value,
        mean,
        ratio,
        samples,
    });
    found
}

fn beyond(rule: &Rule, ratio: f64, most: f64) -> bool {
    match rule.jump.direction {
        Direction::Up => ratio > most,
        Direction::Down => ratio < most,
    }
}

#[derive(Default)]
struct Run {
    samples: u64,
    fired: Vec<Jump>,
    farthest: Option<Jump>,
}

impl Run {
    fn take(&mut self, of: OfMetric, rule: &Rule) {
        self.samples += of.samples;
        self.fired.extend(of.fired);
        if let Some(jump) = of.farthest
            && self
                .farthest
                .as_ref()
                .is_none_or(|most| beyond(rule, jump.ratio, most.ratio))
        {
            self.farthest = Some(jump);
        }
    }

    fn finish(mut self, scoped_rule: &ScopedRule, span: Span, metrics: usize) -> Backtest {
        self.fired
            .sort_by(|a, b| a.ts.cmp(&b.ts).then_with(|| a.metric.cmp(&b.metric)));
        let jumps = self.fired.len();
        let mut tally = AlertCounts::default();
        let mut last: BTreeMap<Metric, Minute> = BTreeMap::new();
        let alerts: Vec<Jump> = self
            .fired
            .into_iter()
            .filter(|jump| {
                let before = last.get(&jump.metric).copied();
                let admitted = tally.admit(scoped_rule, jump.ts, before).is_ok();
                if admitted {
                    last.insert(jump.metric.clone(), jump.ts);
                }
                admitted
            })
            .collect();
        let mut days: BTreeMap<i64, usize> = BTreeMap::new();
        for day in span.from.day().number() / DAY..=span.to.number() / DAY {
            days.insert(day, 0);
        }
        let mut mails = 0;
        for minute in alerts.chunk_by(|a, b| a.ts == b.ts) {
            let of_minute = if minute.len() >= MIN_DIGEST_ALERTS {
                1
            } else {
                minute.len()
            };
            mails += of_minute;
            *days.entry(minute[0].ts.number() / DAY).or_default() += of_minute;
        }
        let date = |day: i64| Minute::from_number(day * DAY).date();
        Backtest {
            span,
            metrics,
            samples: self.samples,
            suppressed: jumps - alerts.len(),
            alerts,
            mails,
            farthest: self.farthest,
            days: days.into_iter().map(|(day, n)| (date(day), n)).collect(),
        }
    }
}
