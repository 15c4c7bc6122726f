//! Coverage of a metric: minutes with and without a sample.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use marketlake_entities::records::gaps;
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;
use marketlake_lake::Lake;

use super::errors::{self, bad_argument};
use super::gaps::{GapState, shows_details};
use super::guard::RequireScope;
use super::metrics::{Metric, minute, resolve};
use super::scalars::DateTime;

/// Reason for which minutes are missing.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum MissingReason {
    /// No feed recorded them, and the market has no gap: an import lacks them, or they are older
    /// than the list of gaps.
    NotRecorded,
    /// Nothing was recorded in time: no process ran, or no feed delivered.
    Missed,
    /// The market's feed failed while others delivered.
    FeedFailed,
    /// The market's stream had some pairs only.
    Incomplete,
    /// The market was polled, which gives prices; the exchange's history has the rest.
    Polled,
}

/// Consecutive minutes without a sample of a metric, for the same reason. Minutes in a row that
/// would be more than ten spans are one, with the reason and state of most of them.
#[derive(SimpleObject)]
struct MissingSpan {
    /// The first minute.
    from: DateTime,
    /// The last minute.
    to: DateTime,
    /// Number of minutes.
    minutes: u64,
    /// Reason.
    reason: MissingReason,
    /// State of the market's gap; null where it has none. It is lost for a measure that the
    /// exchange's history lacks.
    state: Option<GapState>,
    /// Explanation. What may quote errors is null without the scope admin.
    detail: Option<String>,
}

/// Minutes of a span that have a sample of a metric, and those that have none.
#[derive(SimpleObject)]
struct Coverage {
    /// The metric.
    metric: Metric,
    /// First minute that is expected to have a sample: `from`, or that of the metric's first
    /// sample.
    from: DateTime,
    /// Last minute that is expected to have a sample: `to`, or the newest committed minute.
    to: DateTime,
    /// Number of minutes that are expected to have a sample.
    expected: u64,
    /// Number of them that have one.
    recorded: u64,
    /// Number of recorded minutes that the market's feed had missed or failed to deliver, and that
    /// the exchange's history filled since; 0 of a measure that the history lacks.
    filled: u64,
    /// Recorded and expected minutes: "1437 of 1440".
    display: String,
    /// The other minutes, newest first, at most 1,000 spans.
    missing: Vec<MissingSpan>,
    /// Number of older spans, which are not listed.
    missing_left_out: u64,
}

impl From<Option<gaps::GapReason>> for MissingReason {
    fn from(reason: Option<gaps::GapReason>) -> Self {
        match reason {
            None => Self::NotRecorded,
            Some(gaps::GapReason::Missed) => Self::Missed,
            Some(gaps::GapReason::FeedFailed) => Self::FeedFailed,
            Some(gaps::GapReason::Incomplete) => Self::Incomplete,
            Some(gaps::GapReason::Polled) => Self::Polled,
        }
    }
}

impl From<marketlake_lake::MissingSpan> for MissingSpan {
    fn from(span: marketlake_lake::MissingSpan) -> Self {
        Self {
            from: span.from.into(),
            to: span.to.into(),
            minutes: span.minutes(),
            reason: span.reason.into(),
            state: span.state.map(GapState::from),
            detail: span.detail,
        }
    }
}

impl From<marketlake_lake::MetricCoverage> for Coverage {
    fn from(found: marketlake_lake::MetricCoverage) -> Self {
        let display = found.display();
        let missing = found.missing.into_iter();
        Self {
            metric: found.named.into(),
            from: found.span.from.into(),
            to: found.span.to.into(),
            expected: found.expected,
            recorded: found.recorded,
            filled: found.filled,
            display,
            missing: missing.map(Into::into).collect(),
            missing_left_out: found.missing_left_out,
        }
    }
}

#[derive(Default)]
pub(super) struct CoverageQuery;

#[Object]
impl CoverageQuery {
    /// Minutes that have a sample of a metric, and spans of minutes that have none, with the
    /// reason: up to 366 days.
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "1_000 + 100 * child_complexity"
    )]
    async fn coverage(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Name or id: hottry, binance:hottry:volume.")] metric: String,
        #[graphql(desc = "First minute; 24 hours before `to` by default.")] from: Option<DateTime>,
        #[graphql(desc = "Last minute; the newest by default.")] to: Option<DateTime>,
    ) -> Result<Coverage> {
        let (lake, caller) = (context.data::<Arc<Lake>>()?, context.data::<Caller>()?);
        let metric = resolve(lake, &metric).await?;
        let (queries, engine) = (lake.queries(), lake.engine());
        let span = queries
            .coverage_span(from.map(minute), to.map(minute))
            .await;
        let span = span.map_err(errors::lake)?;
        let span = span.map_err(|reason| bad_argument("from", &reason))?;
        let found = queries.coverage(&engine, &metric, span).await;
        let mut found = found.map_err(errors::lake)?;
        if shows_details(caller) {
            let read = queries.load_details(&mut found.missing).await;
            read.map_err(errors::lake)?;
        }
        Ok(found.into())
    }
}
