//! Detection: evaluates one minute by the rules of all subscriptions.
//!
//! [`evaluate()`] reads and decides, [`Evaluation::record`] writes within the caller's transaction.
//! Minutes are evaluated one after the other, in their order: each minute starts from the rule
//! states that the previous one left.

mod backtest;
mod evaluate;
mod history;
mod index;
mod limits;
mod record;
pub mod replay;
pub mod rule_spec;

pub use backtest::{Backtest, MAX_BACKTEST_DAYS, Warning, backtest, backtest_days_within, try_out};
pub use evaluate::evaluate;
pub use record::RecordCounts;

use std::sync::Arc;

use marketlake_entities::records::rule_states::RuleStatus;
use marketlake_model::{Jump, Metric, Minute};

use crate::rules::evidence::Evidence;
use crate::rules::state_machine::RuleState;
use crate::subscriptions::Subscription;

pub(crate) use history::{Span as RuleSpan, carries_over, spans};

/// Evaluation of one minute: the changes to record.
#[derive(Debug)]
pub struct Evaluation {
    minute: Minute,
    spans: history::SpanChanges,
    watches: Vec<StateChange>,
    alerts: Vec<FiringRule>,
    evidence: Vec<Evidence>,
    /// Subscriptions whose last alert this was.
    spent: Vec<String>,
    /// Jumps found, whether or not they became alerts.
    pub jumps: usize,
    /// Rules evaluated.
    pub rules: usize,
}

/// Change of the state of one rule and metric.
#[derive(Debug)]
struct StateChange {
    subscription_id: String,
    metric: Metric,
    from: RuleStatus,
    to: RuleState,
    /// Reason, if the state changed.
    reason: Option<String>,
    ratio: Option<f64>,
}

/// A jump that becomes an alert.
#[derive(Debug)]
pub(crate) struct FiringRule {
    pub(crate) subscription: Arc<Subscription>,
    pub(crate) jump: Jump,
}

/// A jump by a rule, with what it is called in the list of changes.
pub(crate) struct JumpCandidate {
    pub(crate) fired: FiringRule,
    pub(crate) change: usize,
}
