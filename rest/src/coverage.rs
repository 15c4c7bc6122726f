//! `GET /v1/coverage`: the minutes of a span that have a sample of a metric, and those without one.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;
use marketlake_http::problem::Problem;
use marketlake_lake::{GapReason, GapState, Lake, MetricCoverage, MissingSpan};
use serde::Serialize;

use super::table::marked;
use crate::query_params::QueryParams;
use crate::resolve::resolve;

/// Reason for which minutes are missing.
#[derive(Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MissingReason {
    /// No feed recorded them, and the market has no gap: an import lacks them, or they are older
    /// than the list of gaps.
    NotRecorded,
    /// Nothing was recorded in time.
    Missed,
    /// The market's feed failed while others delivered.
    FeedFailed,
    /// The market's stream had some pairs only.
    Incomplete,
    /// The market was polled, which gives prices; the exchange's history has the rest.
    Polled,
}

/// State of the market's gap.
#[derive(Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MissingState {
    /// To be filled from the exchange's history.
    Open,
    /// Filled with all that the exchange has.
    Filled,
    /// Given up.
    Lost,
}

/// Consecutive minutes without a sample of a metric, for the same reason. Minutes in a row that
/// would be more than ten spans are one, with the reason and state of most of them.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct MissingRow {
    /// The first minute.
    #[schema(format = DateTime)]
    from: String,
    /// The last minute.
    #[schema(format = DateTime)]
    to: String,
    /// Number of minutes.
    minutes: u64,
    /// Reason.
    reason: MissingReason,
    /// State of the market's gap; null where it has none. It is lost for a measure that the
    /// exchange's history lacks.
    state: Option<MissingState>,
    /// Explanation. What may quote errors is null without the scope admin.
    detail: Option<String>,
}

/// Coverage of a metric.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CoverageAnswer {
    /// Name of the metric.
    #[schema(example = "hottry")]
    metric: String,
    /// Id of the metric.
    #[schema(example = "binance:hottry")]
    id: String,
    /// First minute that is expected to have a sample: `from`, or that of the metric's first
    /// sample.
    #[schema(format = DateTime)]
    from: String,
    /// Last minute that is expected to have a sample: `to`, or the newest committed minute.
    #[schema(format = DateTime)]
    to: String,
    /// Number of minutes that are expected to have a sample.
    expected: u64,
    /// Number of them that have one.
    recorded: u64,
    /// Number of recorded minutes that the market's feed had missed or failed to deliver, and that
    /// the exchange's history filled since; 0 of a measure that the history lacks.
    filled: u64,
    /// Recorded and expected minutes.
    #[schema(example = "1437 of 1440")]
    display: String,
    /// The other minutes, newest first, at most 1,000 spans.
    missing: Vec<MissingRow>,
    /// Number of older spans, which are not listed.
    missing_left_out: u64,
}

/// Minutes that have a sample of a metric, and spans of minutes that have none, with the reason: up
/// to 366 days. The answer is not cached.
#[utoipa::path(
    get,
    operation_id = "get_coverage",
    path = "/v1/coverage",
    tag = "prices",
    params(
        ("metric" = String, Query, description = "Name or id.", example = "hottry:volume"),
        ("from" = Option<String>, Query, format = DateTime, description = "First minute; 24 hours \
            before the last by default."),
        ("to" = Option<String>, Query, format = DateTime, description = "Last minute; the newest \
            by default."),
    ),
    responses(
        (status = 200, description = "The coverage.", body = CoverageAnswer),
        crate::schemas::UncachedMetricErrorResponses,
    ),
)]
pub(super) async fn get(
    State(lake): State<Arc<Lake>>,
    Extension(caller): Extension<Caller>,
    query: Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let params = QueryParams::new(query, &["metric", "from", "to"])?;
    let (from, to) = (params.minute("from")?, params.minute("to")?);
    let name = params.get("metric").ok_or_else(|| {
        Problem::bad_parameter("metric", "expected the name or id of a metric, got none")
    })?;
    let metric = resolve(&lake, name).await?;
    let (queries, engine) = (lake.queries(), lake.engine());
    let span = queries.coverage_span(from, to).await?;
    let span = span.map_err(|reason| Problem::bad_parameter("from", &reason))?;
    let mut found = queries.coverage(&engine, &metric, span).await?;
    if caller.permissions.allows(Scope::Admin) {
        queries.load_details(&mut found.missing).await?;
    }
    let body = Json(answer(found));
    // Gaps change without a commit to the lake.
    let response = ([(CACHE_CONTROL, "no-cache")], body).into_response();
    Ok(marked(response, metric.is_simulated()))
}

fn answer(found: MetricCoverage) -> CoverageAnswer {
    let display = found.display();
    let row = |span: MissingSpan| MissingRow {
        from: span.from.to_string(),
        to: span.to.to_string(),
        minutes: span.minutes(),
        reason: span.reason.into(),
        state: span.state.map(MissingState::from),
        detail: span.detail,
    };
    CoverageAnswer {
        id: found.named.metric.id().to_owned(),
        metric: found.named.name,
        from: found.span.from.to_string(),
        to: found.span.to.to_string(),
        expected: found.expected,
        recorded: found.recorded,
        filled: found.filled,
        display,
        missing: found.missing.into_iter().map(row).collect(),
        missing_left_out: found.missing_left_out,
    }
}

impl From<Option<GapReason>> for MissingReason {
    fn from(reason: Option<GapReason>) -> Self {
        match reason {
            None => Self::NotRecorded,
            Some(GapReason::Missed) => Self::Missed,
            Some(GapReason::FeedFailed) => Self::FeedFailed,
            Some(GapReason::Incomplete) => Self::Incomplete,
            Some(GapReason::Polled) => Self::Polled,
        }
    }
}

impl From<GapState> for MissingState {
    fn from(state: GapState) -> Self {
        match state {
            GapState::Open => Self::Open,
            GapState::Filled => Self::Filled,
            GapState::Lost => Self::Lost,
        }
    }
}
