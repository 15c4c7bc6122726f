//! One minute, judged by everybody's rules.
//!
//! [`judge`] reads and decides, [`Verdict::record`] writes within the caller's transaction. Minutes are judged one after the
//! other, in their order: what is known of a minute's watches is what the minute before left.

mod history;
mod index;
mod judge;
mod limits;
mod record;

pub use judge::judge;
pub use record::Recorded;

use std::sync::Arc;

use marketlake_entities::records::rule_states::State;
use marketlake_model::{Jump, Metric, Minute};

use crate::Subscription;
use crate::evidence::Evidence;
use crate::machine::Watch;

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
