//! State machine of a rule for one metric: a pure function of the rule, the state before, and the
//! rows.
//!
//! ```text
//!        beyond the factor            for `for_minutes`
//!   ok ───────────────────> pending ───────────────────────> firing (makes the alert, once)
//!    ^ <──────────────────────┘ calm                            │
//!    └──────────────────── not beyond the resolve factor ─────────┘
//!   any ── too few samples, or a mean not above zero ──> no data ── enough again ──> where it was
//! ```

use marketlake_entities::records::rule_states::RuleStatus;
use marketlake_model::{Exact, NoData, RollingSum};

use super::rule::Rule;

/// The version of this function. It rises with every change that could make another alert of the
/// same rows.
pub const DETECTOR_VERSION: i32 = 2;

/// State of a rule for one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleState {
    /// Its state.
    pub state: RuleStatus,
    /// The state to which it goes back when there is data again; the state itself unless that is
    /// no-data.
    pub resume_state: RuleStatus,
    /// Minutes beyond the factor without a calm one between.
    pub streak: u32,
}

impl Default for RuleState {
    fn default() -> Self {
        Self {
            state: RuleStatus::Ok,
            resume_state: RuleStatus::Ok,
            streak: 0,
        }
    }
}

impl RuleState {
    /// A watch as a row of `rule_states` or `transitions` has it.
    pub(crate) fn from_row(state: RuleStatus, resume_state: RuleStatus, streak: i32) -> Self {
        Self {
            state,
            resume_state,
            streak: u32::try_from(streak).unwrap_or(0),
        }
    }
}

/// Result of evaluating one minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// State after it.
    pub watch: RuleState,
    /// Whether it fires: the state became firing from another.
    pub fires: bool,
    /// Reason of a change of state; `None` if there was none.
    pub reason: Option<String>,
    /// Value over mean, where there is one.
    pub ratio: Option<f64>,
}

impl Rule {
    /// Evaluates one minute.
    #[must_use]
    pub fn step(&self, watch: RuleState, value: Option<Exact>, before: &RollingSum) -> Step {
        if let Some(no_data) = self.jump.no_data(before) {
            return self.without_data(watch, no_data);
        }
        let Some(value) = value else {
            // A minute without a sample says nothing of itself; but there is data again.
            return back(watch);
        };
        let ratio = value.to_f64() / before.mean();
        let was = watch.resume_state;
        let beyond = self.jump.beyond(self.jump.factor, value, before);
        let (state, streak) = match was {
            RuleStatus::Firing if self.jump.beyond(self.resolve_threshold(), value, before) => {
                (RuleStatus::Firing, watch.streak)
            }
            _ if !beyond || was == RuleStatus::Firing => (RuleStatus::Ok, 0),
            _ if watch.streak + 1 >= self.for_minutes => (RuleStatus::Firing, watch.streak + 1),
            _ => (RuleStatus::Pending, watch.streak + 1),
        };
        let reason = (state != watch.state).then(|| self.why(was, state, streak, ratio));
        Step {
            watch: RuleState {
                state,
                resume_state: state,
                streak,
            },
            fires: state == RuleStatus::Firing && was != RuleStatus::Firing,
            reason,
            ratio: Some(ratio),
        }
    }

    fn without_data(&self, watch: RuleState, no_data: NoData) -> Step {
        let reason = || match no_data {
            NoData::TooFew(count) => format!(
                "{count} of at least {} samples in {} minutes",
                self.jump.min_samples, self.jump.window
            ),
            NoData::MeanNotAboveZero => {
                format!("the mean of {} minutes is not above zero", self.jump.window)
            }
        };
        Step {
            watch: RuleState {
                state: RuleStatus::NoData,
                ..watch
            },
            fires: false,
            reason: (watch.state != RuleStatus::NoData).then(reason),
            ratio: None,
        }
    }

    fn why(&self, was: RuleStatus, is: RuleStatus, streak: u32, ratio: f64) -> String {
        let factor = self.jump.factor;
        match is {
            RuleStatus::Firing if was == RuleStatus::Firing => {
                format!("data is back, and it still fires: {ratio:.2}x the mean")
            }
            RuleStatus::Firing if self.for_minutes > 1 => {
                format!("{ratio:.2}x the mean, beyond {factor}x for {streak} minutes in a row")
            }
            RuleStatus::Firing => format!("{ratio:.2}x the mean, beyond {factor}x"),
            RuleStatus::Pending => format!(
                "{ratio:.2}x the mean, beyond {factor}x for {streak} of {} minutes",
                self.for_minutes
            ),
            _ if was == RuleStatus::Firing => format!(
                "{ratio:.2}x the mean, no longer beyond {}x",
                self.resolve_threshold()
            ),
            _ => format!("{ratio:.2}x the mean, not beyond {factor}x"),
        }
    }
}

/// There is data again, and nothing more is known.
fn back(watch: RuleState) -> Step {
    Step {
        watch: RuleState {
            state: watch.resume_state,
            ..watch
        },
        fires: false,
        reason: (watch.state != watch.resume_state).then(|| "data is back".to_owned()),
        ratio: None,
    }
}
