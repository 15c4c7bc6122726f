//! Evaluates a rule over consecutive minutes of one metric; shared by replay, backtest and rule
//! specs.

use marketlake_lake::{Point, Span};
use marketlake_model::{Jump, Metric, Minute, RollingSum};

use super::rule::{Rule, ScopedRule};
use super::state_machine::{RuleState, Step};

/// One minute that changed something.
#[derive(Clone, Debug, PartialEq)]
pub struct MinuteEvaluation {
    /// The minute.
    pub ts: Minute,
    /// The step that it made.
    pub step: Step,
    /// The jump, where it fires.
    pub jump: Option<Jump>,
}

/// Runs a rule over one metric.
pub struct RuleEvaluator<'a> {
    rule: &'a Rule,
    metric: &'a Metric,
    points: &'a [Point],
    /// The exact sum of `points[first..next]`.
    before: RollingSum,
    first: usize,
    next: usize,
    /// State before the next minute.
    pub watch: RuleState,
}

impl<'a> RuleEvaluator<'a> {
    /// A run over points that reach back at least as far as the rule looks from the first minute
    /// that will be evaluated.
    #[must_use]
    pub fn new(rule: &'a Rule, metric: &'a Metric, points: &'a [Point], watch: RuleState) -> Self {
        Self {
            rule,
            metric,
            points,
            before: RollingSum::default(),
            first: 0,
            next: 0,
            watch,
        }
    }

    /// Evaluates a minute; minutes must come in the order of time.
    pub fn evaluate(&mut self, ts: Minute) -> MinuteEvaluation {
        while self.points.get(self.next).is_some_and(|p| p.ts < ts) {
            self.before.push(self.points[self.next].value);
            self.next += 1;
        }
        let from = ts.plus(-i64::from(self.rule.jump.window));
        while self.first < self.next && self.points[self.first].ts < from {
            self.first += 1;
            if !self.before.pop(self.points[self.first - 1].value) {
                self.before = self.sum();
            }
        }
        let value = self.points.get(self.next).filter(|p| p.ts == ts);
        let value = value.map(|point| point.value);
        if !self.before.is_exact() {
            self.before = self.sum();
        }
        let step = self.rule.step(self.watch, value, &self.before);
        self.watch = step.watch;
        let jump = value.filter(|_| step.fires);
        let jump = jump.map(|value| Jump::of(self.metric, ts, value, &self.sum()));
        MinuteEvaluation { ts, step, jump }
    }

    fn sum(&self) -> RollingSum {
        let held = &self.points[self.first..self.next];
        held.iter().map(|point| point.value).collect()
    }

    /// Number of samples that the last evaluated minute was compared with.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.before.count()
    }

    /// Mean that the last evaluated minute was compared with.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.before.mean()
    }
}

/// Reason that keeps a jump from becoming an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressionReason {
    /// An alert of the same metric was made so short a time before.
    Cooldown,
    /// The day has had its most.
    Day,
    /// All alerts that were requested have been made.
    Spent,
    /// The owner wants no word for a while.
    Muted,
}

/// The alerts that a subscription has made, as far as its limits need them.
#[derive(Clone, Debug, Default)]
pub struct AlertCounts {
    /// Alerts of the UTC day that `day` begins.
    pub today: u32,
    /// The day that `today` counts.
    pub day: Option<Minute>,
    /// Alerts ever.
    pub ever: u32,
}

impl AlertCounts {
    /// Counts a jump that may become an alert. `last` is the metric's last alert.
    ///
    /// # Errors
    /// The reason that keeps it from becoming one.
    pub fn admit(
        &mut self,
        scoped_rule: &ScopedRule,
        ts: Minute,
        last: Option<Minute>,
    ) -> Result<(), SuppressionReason> {
        let rule = &scoped_rule.rule;
        if self.day != Some(ts.day()) {
            self.day = Some(ts.day());
            self.today = 0;
        }
        if scoped_rule
            .muted_until
            .is_some_and(|until| ts.start() < until)
        {
            return Err(SuppressionReason::Muted);
        }
        if last.is_some_and(|last| ts.number() - last.number() < i64::from(rule.cooldown)) {
            return Err(SuppressionReason::Cooldown);
        }
        if rule.max_alerts.is_some_and(|max| self.ever >= max) {
            return Err(SuppressionReason::Spent);
        }
        if rule.max_per_day.is_some_and(|max| self.today >= max) {
            return Err(SuppressionReason::Day);
        }
        self.today += 1;
        self.ever += 1;
        Ok(())
    }
}

impl SuppressionReason {
    /// Description for people.
    #[must_use]
    pub fn in_words(self, rule: &Rule) -> String {
        match self {
            Self::Cooldown => format!("no mail: within {} minutes of the last", rule.cooldown),
            Self::Day => format!(
                "no mail: the maximum of {} per day is reached",
                rule.max_per_day.unwrap_or_default()
            ),
            Self::Spent => format!(
                "no mail: the maximum of {} in all is reached",
                rule.max_alerts.unwrap_or_default()
            ),
            Self::Muted => "no mail: snoozed".to_owned(),
        }
    }
}

/// Whether a rule evaluates a minute at all.
#[must_use]
pub fn in_force(rule: &Rule, ts: Minute) -> bool {
    rule.expires_at.is_none_or(|end| ts.start() < end)
}

/// The minutes that must be read to evaluate a span.
#[must_use]
pub fn reach(rule: &Rule, span: Span) -> Span {
    Span {
        from: span.from.plus(-i64::from(rule.jump.window)),
        to: span.to,
    }
}
