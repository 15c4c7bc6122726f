//! Comparison of the minutes of a metric with its samples and with the gaps of its market.

use marketlake_entities::records::gaps::{GapMark, GapReason, GapState};
use marketlake_model::{HIGH, LOW, Metric, Minute, PRICE, TRADES, VOLUME};

use crate::query::missing::{MissingSpan, MissingSpans};

/// Exchanges with the number of trades in their history.
const HISTORIES_WITH_TRADES: [&str; 2] = ["binance", "kraken"];

/// Comparison of minutes, newest first.
pub(super) struct Comparison {
    /// Number of minutes with a sample.
    pub(super) recorded: u64,
    /// Number of them that only the exchange's history has brought.
    pub(super) filled: u64,
    missing: MissingSpans,
    is_in_history: bool,
}

impl Comparison {
    pub(super) fn new(metric: &Metric) -> Self {
        Self {
            recorded: 0,
            filled: 0,
            missing: MissingSpans::default(),
            is_in_history: is_in_history(metric),
        }
    }

    /// Adds a minute that is older than those before, with the gap that its market has there.
    pub(super) fn add(&mut self, minute: Minute, is_recorded: bool, gap: Option<&GapMark>) {
        if is_recorded {
            self.recorded += 1;
            self.filled += u64::from(self.is_in_history && gap.is_some_and(was_missed));
            return;
        }
        // No filling brings a measure that the history lacks, and none brings another pair's.
        let is_open = |gap: &GapMark| gap.state == GapState::Open;
        let is_filled = |gap: &GapMark| gap.state == GapState::Filled;
        let is_in_vain =
            gap.is_some_and(is_filled) || !self.is_in_history && gap.is_some_and(is_open);
        let state = if is_in_vain {
            Some(GapState::Lost)
        } else {
            gap.map(|gap| gap.state)
        };
        let explanation = gap.filter(|gap| gap.has_detail && !is_in_vain);
        self.missing.add(MissingSpan {
            from: minute,
            to: minute,
            reason: gap.map(|gap| gap.reason),
            state,
            detail: None,
            explained_by: explanation.map(|gap| gap.id),
        });
    }

    /// The missing spans of the metric, newest first, and the number of older ones that are left
    /// out.
    pub(super) fn finish(self, metric: &Metric) -> (Vec<MissingSpan>, u64) {
        let (mut missing, left_out) = self.missing.finish();
        let (market, measure) = (metric.market(), metric.measure());
        for span in &mut missing {
            let is_of_gap = span.state.is_some() && span.explained_by.is_none();
            if is_of_gap && !self.is_in_history {
                span.detail = Some(format!("the history of {market} has no {measure}"));
            } else if is_of_gap && span.state == Some(GapState::Lost) {
                span.detail = Some(format!("the history of {market} had no usable candle"));
            }
        }
        (missing, left_out)
    }
}

/// Returns whether the history of an exchange has the measure of a metric.
fn is_in_history(metric: &Metric) -> bool {
    match metric.measure() {
        PRICE | VOLUME | HIGH | LOW => true,
        TRADES => HISTORIES_WITH_TRADES.contains(&metric.market()),
        _ => false,
    }
}

/// Returns whether a minute had no samples of its market before it was filled.
fn was_missed(gap: &GapMark) -> bool {
    let has_nothing = matches!(gap.reason, GapReason::Missed | GapReason::FeedFailed);
    has_nothing && gap.state == GapState::Filled
}
