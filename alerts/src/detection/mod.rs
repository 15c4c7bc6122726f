//! One minute, judged by everybody's rules.
//!
//! [`judge`] reads and decides, [`Verdict::record`] writes within the caller's transaction. Minutes are judged one after the
//! other, in their order: what is known of a minute's watches is what the minute before left.

mod backtest;
mod evaluate;
mod history;
mod index;
mod limits;
mod record;
pub mod replay;
pub mod rule_spec;

pub use backtest::{Backtest, MOST_DAYS, Warning, backtest, try_out};
pub use evaluate::judge;
pub use record::Recorded;

use std::sync::Arc;

use marketlake_entities::records::watches::State;
use marketlake_model::{Jump, Metric, Minute};

use crate::rules::evidence::Evidence;
use crate::rules::state_machine::Watch;
use crate::subscriptions::Subscription;

pub(crate) use history::{Span as RuleSpan, carries_over, spans};

/// What a minute's judgement changes.
#[derive(Debug)]
pub struct Verdict {
    minute: Minute,
    spans: history::SpanChanges,
    watches: Vec<WatchChange>,
    alerts: Vec<Fired>,
    evidence: Vec<Evidence>,
    /// Subscriptions whose last alert this was.
    spent: Vec<String>,
    /// Jumps found, whether or not they became alerts.
    pub jumps: usize,
    /// Rules asked.
    pub rules: usize,
}

/// What became of one watch.
#[derive(Debug)]
struct WatchChange {
    subscription_id: String,
    metric: Metric,
    from: State,
    to: Watch,
    /// Why, where the state changed.
    reason: Option<String>,
    ratio: Option<f64>,
}

/// A jump that becomes an alert.
#[derive(Debug)]
pub(crate) struct Fired {
    pub(crate) subscription: Arc<Subscription>,
    pub(crate) jump: Jump,
}

/// A jump by a rule, with what it is called in the list of changes.
pub(crate) struct Found {
    pub(crate) fired: Fired,
    pub(crate) change: usize,
}
