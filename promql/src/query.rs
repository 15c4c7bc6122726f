//! `/query`, `/query_range` and `/status/buildinfo`.

use std::time::Instant;

use axum::extract::State;
use marketlake_http::clock::RequestClock;
use marketlake_http::compute::run_blocking;
use marketlake_lake::Lake;
use marketlake_model::Millis;
use promql_parser::parser::Expr;
use serde_json::json;

use super::context::{ApiResult, ApiState, deadline, parse_checked};
use super::eval::Evaluator;
use super::parameters::Parameters;
use super::plan::Bounds;
use super::planner::Planner;
use super::value::PromError;
use super::{answer, bounds};

const MAX_POINTS: i64 = 11_000;
/// Samples of an answer, all series together.
const MAX_RESULT_SAMPLES: usize = 1_000_000;

pub(super) async fn query(
    State((lake, clock, max)): ApiState,
    parameters: Parameters,
) -> ApiResult {
    let deadline = deadline();
    let expression = parse_query(parameters.needed("query")?, deadline).await?;
    let ts = match parameters.time("time")? {
        Some(ts) => ts,
        None => now(&lake, &clock).await?.0,
    };
    let bounds = Bounds { from: ts, to: ts };
    let plan = Planner::new(&lake, bounds, deadline)
        .plan(&expression, bounds)
        .await?;
    let answer = run_blocking(deadline, move || {
        let value = Evaluator { deadline }.at(&plan, ts)?;
        answer::instant(value, ts, max)
    });
    answer.await?
}

pub(super) async fn query_range(
    State((lake, _, max)): ApiState,
    parameters: Parameters,
) -> ApiResult {
    let deadline = deadline();
    let expression = parse_query(parameters.needed("query")?, deadline).await?;
    let missing = |name| move || PromError::BadData(format!("{name}: expected a time, got none"));
    let from = parameters.time("start")?.ok_or_else(missing("start"))?;
    let to = parameters.time("end")?.ok_or_else(missing("end"))?;
    let step = parameters.step("step")?;
    if to < from {
        let problem = "end: expected a time that is not before start";
        return Err(PromError::BadData(problem.to_owned()));
    }
    if (to - from) / step >= MAX_POINTS {
        let problem = format!("step: expected at most {MAX_POINTS} points per series");
        return Err(PromError::BadData(problem));
    }
    let bounds = Bounds { from, to };
    let plan = Planner::new(&lake, bounds, deadline)
        .plan(&expression, bounds)
        .await?;
    let answer = run_blocking(deadline, move || {
        let evaluator = Evaluator { deadline };
        let series = evaluator.steps(&plan, bounds, step, MAX_RESULT_SAMPLES)?;
        answer::matrix(series, max)
    });
    answer.await?
}

/// Build information. Grafana chooses its queries by the version.
pub(super) async fn buildinfo(State((_, _, max)): ApiState) -> ApiResult {
    let info = json!({
        "version": "3.0.0",
        "revision": env!("CARGO_PKG_VERSION"),
        "branch": "marketlake",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    });
    answer::success(&info, max)
}

/// Parses a query of any size, shape and content.
async fn parse_query(query: &str, deadline: Instant) -> Result<Expr, PromError> {
    let query = query.to_owned();
    let parsed = run_blocking(deadline, move || {
        bounds::check_all("query", std::slice::from_ref(&query))?;
        parse_checked("query", &query)
    });
    parsed.await?
}

async fn now(lake: &Lake, clock: &RequestClock) -> Result<Millis, PromError> {
    clock.now(lake).await.ok_or(PromError::Unavailable)
}
