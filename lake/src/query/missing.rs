//! Missing minutes of a metric as spans, with the reason and state of the market's gaps.

use marketlake_entities::records::gaps::{GapReason, GapState};
use marketlake_model::Minute;

use crate::span::Span;

/// Missing spans that are listed, the newest of them.
const MAX_SPANS: usize = 1_000;
/// Spans of a run of missing minutes; a run with more of them is listed as one.
const MAX_SPANS_OF_RUN: usize = 10;

/// Consecutive minutes without a sample of a metric, for the same reason. Minutes in a row that
/// would be more than ten spans are one, with the reason and state of most of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSpan {
    /// The first minute.
    pub from: Minute,
    /// The last minute.
    pub to: Minute,
    /// Reason of the market's gap; `None` where the market has no gap: not recorded.
    pub reason: Option<GapReason>,
    /// State of the market's gap; lost for a measure that the exchange's history lacks.
    pub state: Option<GapState>,
    /// Explanation: that the exchange's history lacks the measure, or that of the newest of the
    /// gaps that has one. The latter is `None` until `Queries::load_details` reads it, because it
    /// may quote errors.
    pub detail: Option<String>,
    /// Id of the gap that has the explanation.
    pub(super) explained_by: Option<i64>,
}

/// Missing minutes as spans, from the newest to the oldest.
#[derive(Default)]
pub(super) struct MissingSpans {
    /// The minutes that the next one may extend.
    run: Option<Run>,
    listed: Vec<MissingSpan>,
    left_out: u64,
}

/// Missing minutes in a row.
struct Run {
    from: Minute,
    to: Minute,
    /// The newest spans, one more than are listed of a run at most.
    spans: Vec<MissingSpan>,
    /// Number of minutes of each reason and state.
    causes: Vec<(MissingSpan, u64)>,
}

impl MissingSpan {
    /// Number of its minutes.
    #[must_use]
    pub fn minutes(&self) -> u64 {
        let (from, to) = (self.from, self.to);
        length(Span { from, to })
    }

    fn has_cause_of(&self, other: &Self) -> bool {
        (self.reason, self.state) == (other.reason, other.state)
    }

    /// Adds older minutes.
    fn extend(&mut self, older: &Self) {
        self.from = older.from;
        self.explained_by = self.explained_by.or(older.explained_by);
    }
}

impl MissingSpans {
    /// Adds a minute that is older than those before.
    pub(super) fn add(&mut self, minute: MissingSpan) {
        if let Some(run) = &mut self.run
            && run.from == minute.to.plus(1)
        {
            run.add(minute);
            return;
        }
        self.close();
        self.run = Some(Run::new(minute));
    }

    fn close(&mut self) {
        let Some(run) = self.run.take() else {
            return;
        };
        for span in run.finish() {
            if self.listed.len() < MAX_SPANS {
                self.listed.push(span);
            } else {
                self.left_out += 1;
            }
        }
    }

    /// The spans, newest first, and the number of older ones that are left out.
    pub(super) fn finish(mut self) -> (Vec<MissingSpan>, u64) {
        self.close();
        (self.listed, self.left_out)
    }
}

impl Run {
    fn new(newest: MissingSpan) -> Self {
        Self {
            from: newest.from,
            to: newest.to,
            causes: vec![(newest.clone(), 1)],
            spans: vec![newest],
        }
    }

    fn add(&mut self, minute: MissingSpan) {
        self.from = minute.from;
        let mut causes = self.causes.iter_mut();
        match causes.find(|(cause, _)| cause.has_cause_of(&minute)) {
            Some((cause, minutes)) => {
                cause.extend(&minute);
                *minutes += 1;
            }
            None => self.causes.push((minute.clone(), 1)),
        }
        if let Some(last) = self.spans.last_mut()
            && last.has_cause_of(&minute)
        {
            last.extend(&minute);
        } else if self.spans.len() <= MAX_SPANS_OF_RUN {
            self.spans.push(minute);
        }
    }

    fn finish(self) -> Vec<MissingSpan> {
        if self.spans.len() <= MAX_SPANS_OF_RUN {
            return self.spans;
        }
        let (from, to) = (self.from, self.to);
        let prevailing = self.causes.into_iter().max_by_key(|(_, minutes)| *minutes);
        let whole = prevailing.map(|(cause, _)| MissingSpan { from, to, ..cause });
        whole.into_iter().collect()
    }
}

/// Number of minutes of a span; 0 where it ends before it begins.
pub(super) fn length(span: Span) -> u64 {
    u64::try_from(span.to.number() - span.from.number() + 1).unwrap_or(0)
}
