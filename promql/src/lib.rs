//! The part of Prometheus' HTTP API that reads, for Grafana and promtool: `/prometheus/api/v1/..`.
//!
//! A metric is `MEASURE{market="..",pair=".."}`. Ranges leave their begin out, as in Prometheus since version 3. What is covered of PromQL is
//! computed here; what is not is an error that says so.

mod aggregate;
mod answer;
mod binary;
mod bounds;
mod eval;
mod functions;
mod labels;
mod names;
mod parameters;
mod plan;
mod value;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use marketlake_http::clock::RequestClock;
use marketlake_http::compute::run_blocking;
use marketlake_http::limits::rate_limiter::charge;
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_lake::Lake;
use marketlake_model::Millis;
use promql_parser::parser::{Expr, parse};
use serde_json::json;

use eval::Evaluator;
use marketlake_http::caller::require_read;
use marketlake_http::engine_header::write_engine_header;
use marketlake_http::response_cache::{ResponseCache, serve_cached};
use marketlake_http::state::ApiContext;
use parameters::Parameters;
use plan::{Bounds, Planner};
use value::PromError;

/// Of a request, from its arrival to its response.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_POINTS: i64 = 11_000;
/// Samples of an answer, all series together.
const MAX_RESULT_SAMPLES: usize = 1_000_000;

type Answer = Result<Response, PromError>;
type ApiState = State<(Arc<Lake>, Arc<RequestClock>, MaxBytes)>;

/// Routes of Prometheus' HTTP API.
pub fn router(context: &ApiContext) -> Router {
    let (lake, limits) = (&context.state.lake, context.options.limits);
    let cache = ResponseCache::new("prometheus", lake, &context.clock, limits.cache_bytes);
    let lasting = Router::new()
        .route("/query_range", get(query_range).post(query_range))
        .route("/series", get(names::series).post(names::series))
        .route("/labels", get(names::label_names).post(names::label_names))
        .route("/label/{name}/values", get(names::label_values))
        .route("/metadata", get(names::metadata))
        .route_layer(from_fn(write_engine_header))
        .route_layer(from_fn_with_state(Arc::new(cache), serve_cached));
    // What is asked of this very moment is no answer for the next one.
    let passing = Router::new()
        .route("/query", get(query).post(query))
        .route("/status/buildinfo", get(buildinfo));
    let api = lasting
        .merge(passing)
        .with_state((
            Arc::clone(lake),
            Arc::clone(&context.clock),
            MaxBytes(limits.max_response_bytes),
        ))
        .route_layer(from_fn(require_read))
        .route_layer(from_fn_with_state(
            Arc::clone(&context.rate_limiter),
            charge,
        ));
    Router::new().nest("/prometheus/api/v1", api)
}

async fn query(State((lake, clock, max)): ApiState, parameters: Parameters) -> Answer {
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

async fn query_range(State((lake, _, max)): ApiState, parameters: Parameters) -> Answer {
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
        let problem = format!("step: expected one that makes at most {MAX_POINTS} points a series");
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

/// By its version Grafana chooses what it asks for.
async fn buildinfo(State((_, _, max)): ApiState) -> Answer {
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

/// Parses what is within its bounds.
fn parse_checked(name: &str, text: &str) -> Result<Expr, PromError> {
    parse(text).map_err(|error| PromError::BadData(format!("{name}: {error}")))
}

/// When a request that begins now is given up.
fn deadline() -> Instant {
    Instant::now() + TIMEOUT
}

/// Refuses what would take too much memory.
fn check_samples(samples: usize, max: usize) -> Result<(), PromError> {
    if samples <= max {
        return Ok(());
    }
    let problem = format!("expected at most {max} samples; ask for less, or with a longer step");
    Err(PromError::Execution(problem))
}

async fn now(lake: &Lake, clock: &RequestClock) -> Result<Millis, PromError> {
    clock.now(lake).await.ok_or(PromError::Unavailable)
}
