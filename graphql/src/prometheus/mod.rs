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
mod parameters;
mod plan;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use marketlake_entities::{Metric, Millis};
use marketlake_lake::{Lake, QueryEngine, Span};
use promql_parser::parser::{Expr, VectorSelector, parse};
use serde_json::{Value as Json, json};
use tokio::task::spawn_blocking;

use crate::Options;
use crate::clock::Clock;
use crate::limits::{MaxBytes, Rate, charge};
use crate::rest::{Shelf, cached, engines, needs_read};
use eval::Evaluator;
use labels::{Labels, NAME};
use parameters::Parameters;
use plan::{Bounds, Planner, minute, select};
use value::{PromError, Value};

const PATIENCE: Duration = Duration::from_secs(10);
const MOST_POINTS: i64 = 11_000;
/// Samples of an answer, all series together.
const MAX_RESULT_SAMPLES: usize = 1_000_000;

type Answer = Result<Response, PromError>;
type Face = State<(Arc<Lake>, Arc<Clock>, MaxBytes)>;

/// The routes.
pub(crate) fn router(
    lake: &Arc<Lake>,
    rate: &Arc<Rate>,
    clock: &Arc<Clock>,
    options: &Options,
) -> Router {
    let bytes = options.limits.cache_bytes;
    let shelf = Arc::new(Shelf::new("prometheus", lake, clock, bytes));
    let lasting = Router::new()
        .route("/query_range", get(query_range).post(query_range))
        .route("/series", get(series).post(series))
        .route("/labels", get(label_names).post(label_names))
        .route("/label/{name}/values", get(label_values))
        .route("/metadata", get(metadata))
        .route_layer(from_fn(engines))
        .route_layer(from_fn_with_state(shelf, cached));
    // What is asked of this very moment is no answer for the next one.
    let passing = Router::new()
        .route("/query", get(query).post(query))
        .route("/status/buildinfo", get(buildinfo));
    let api = lasting
        .merge(passing)
        .with_state((
            Arc::clone(lake),
            Arc::clone(clock),
            MaxBytes(options.limits.max_response_bytes),
        ))
        .route_layer(from_fn(needs_read))
        .route_layer(from_fn_with_state(Arc::clone(rate), charge));
    Router::new().nest("/prometheus/api/v1", api)
}

async fn query(State((lake, clock, max)): Face, parameters: Parameters) -> Answer {
    let expression = read(parameters.needed("query")?)?;
    let ts = match parameters.time("time")? {
        Some(ts) => ts,
        None => now(&lake, &clock).await?.0,
    };
    let bounds = Bounds { from: ts, to: ts };
    let plan = Planner::new(&lake, bounds)
        .plan(&expression, bounds)
        .await?;
    let value = compute(move |evaluator| evaluator.at(&plan, ts)).await?;
    answer::instant(value, ts, max)
}

async fn query_range(State((lake, _, max)): Face, parameters: Parameters) -> Answer {
    let expression = read(parameters.needed("query")?)?;
    let missing = |name| move || PromError::BadData(format!("{name}: expected a time, got none"));
    let from = parameters.time("start")?.ok_or_else(missing("start"))?;
    let to = parameters.time("end")?.ok_or_else(missing("end"))?;
    let step = parameters.step("step")?;
    if to < from {
        let problem = "end: expected a time that is not before start";
        return Err(PromError::BadData(problem.to_owned()));
    }
    if (to - from) / step >= MOST_POINTS {
        let problem =
            format!("step: expected one that makes at most {MOST_POINTS} points a series");
        return Err(PromError::BadData(problem));
    }
    let bounds = Bounds { from, to };
    let plan = Planner::new(&lake, bounds)
        .plan(&expression, bounds)
        .await?;
    let series = compute(move |evaluator| {
        let mut series: BTreeMap<Labels, value::Samples> = BTreeMap::new();
        let (mut ts, mut samples) = (from, 0);
        while ts <= to {
            match evaluator.at(&plan, ts)? {
                Value::Scalar(value) => {
                    series
                        .entry(Labels::default())
                        .or_default()
                        .push((ts, value));
                }
                other => {
                    let elements = other.vector()?;
                    samples += elements.len();
                    check_samples(samples, MAX_RESULT_SAMPLES)?;
                    for element in elements {
                        let samples = series.entry(element.labels).or_default();
                        samples.push((ts, element.value));
                    }
                }
            }
            ts += step;
        }
        Ok(series)
    });
    let series = series.await?.into_iter().collect();
    answer::matrix(series, max)
}

async fn series(State((lake, _, max)): Face, parameters: Parameters) -> Answer {
    if parameters.get("match[]").is_none() {
        let problem = "match[]: expected one selector at least";
        return Err(PromError::BadData(problem.to_owned()));
    }
    let metrics = wanted(&lake, &parameters).await?;
    let labels: Vec<Json> = metrics.iter().map(|m| Labels::of(m).to_json()).collect();
    answer::success(&Json::Array(labels), max)
}

async fn label_names(State((lake, _, max)): Face, parameters: Parameters) -> Answer {
    let metrics = wanted(&lake, &parameters).await?;
    let all: Vec<Labels> = metrics.iter().map(Labels::of).collect();
    let names: BTreeSet<&str> = all
        .iter()
        .flat_map(Labels::iter)
        .map(|(name, _)| name)
        .collect();
    answer::success(&json!(names), max)
}

async fn label_values(
    State((lake, _, max)): Face,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Answer {
    let metrics = wanted(&lake, &parameters).await?;
    let values = metrics
        .iter()
        .map(|metric| Labels::of(metric).get(&name).to_owned());
    let values: BTreeSet<String> = values.filter(|value| !value.is_empty()).collect();
    answer::success(&json!(values), max)
}

async fn metadata(State((lake, _, max)): Face, parameters: Parameters) -> Answer {
    let wanted = parameters.get("metric");
    let directory = lake.directory();
    let names = directory
        .metrics()
        .map(|metric| Labels::of(metric).get(NAME).to_owned());
    let names: BTreeSet<String> = names.filter(|n| wanted.is_none_or(|w| w == n)).collect();
    let limit = parameters.get("limit").map(str::parse::<usize>).transpose();
    let limit =
        limit.map_err(|_| PromError::BadData("limit: expected a whole number".to_owned()))?;
    let described = names
        .into_iter()
        .take(limit.filter(|l| *l > 0).unwrap_or(usize::MAX));
    let described = described.map(|name| {
        let help = match name.as_str() {
            "price" => "Price of a pair on a market, in its second currency.".to_owned(),
            "volume" => "What was traded of a pair in a minute, in its first currency.".to_owned(),
            other => format!("The measure {other} of a pair on a market."),
        };
        (name, json!([{"type": "gauge", "help": help, "unit": ""}]))
    });
    answer::success(&Json::Object(described.collect()), max)
}

/// By its version Grafana chooses what it asks for.
async fn buildinfo(State((_, _, max)): Face) -> Answer {
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

/// Selectors of one request for names and labels; each is compared with every metric.
const MAX_SELECTORS: usize = 32;

/// The metrics of `match[]`, all of them where nothing is said; with `start` or `end` those that have a sample between.
async fn wanted(lake: &Lake, parameters: &Parameters) -> Result<Vec<Metric>, PromError> {
    let (from, to) = (parameters.time("start")?, parameters.time("end")?);
    let count = parameters.all("match[]").count();
    if count > MAX_SELECTORS {
        let problem = format!("match[]: expected at most {MAX_SELECTORS} selectors, got {count}");
        return Err(PromError::BadData(problem));
    }
    let mut selectors = Vec::new();
    for text in parameters.all("match[]") {
        match read(text)? {
            Expr::VectorSelector(selector) => selectors.push(labels::matchers(&selector)),
            _ => {
                let problem = "match[]: expected a selector, like price{market=\"binance\"}";
                return Err(PromError::BadData(problem.to_owned()));
            }
        }
    }
    let mut metrics: BTreeSet<Metric> = BTreeSet::new();
    if selectors.is_empty() {
        let every = labels::matchers(&VectorSelector::default());
        metrics.extend(select(lake, &every));
    }
    for selector in &selectors {
        metrics.extend(select(lake, selector));
    }
    if from.is_some() || to.is_some() {
        let span = Span {
            from: from.map_or(Span::ALL.from, minute),
            to: to.map_or(Span::ALL.to, minute),
        };
        let alive = alive(lake, span).await.map_err(|error| {
            tracing::error!(%error, "the lake cannot be read");
            PromError::Unavailable
        })?;
        metrics.retain(|metric| alive.binary_search(metric).is_ok());
    }
    Ok(metrics.into_iter().collect())
}

/// What is after the newest minute is not there yet, so that it need not be read.
async fn alive(lake: &Lake, span: Span) -> Result<Vec<Metric>, marketlake_lake::LakeError> {
    let Some(newest) = lake.newest().await? else {
        return Ok(Vec::new());
    };
    let to = span.to.min(newest);
    let span = Span {
        from: span.from,
        to,
    };
    if span.from > span.to {
        return Ok(Vec::new());
    }
    lake.engine().metrics(span).await
}

fn read(query: &str) -> Result<Expr, PromError> {
    bounds::check(query)?;
    parse(query).map_err(|error| PromError::BadData(format!("query: {error}")))
}

/// Refuses what would take too much memory.
fn check_samples(samples: usize, max: usize) -> Result<(), PromError> {
    if samples <= max {
        return Ok(());
    }
    let problem = format!("expected at most {max} samples; ask for less, or with a longer step");
    Err(PromError::Execution(problem))
}

async fn now(lake: &Lake, clock: &Clock) -> Result<Millis, PromError> {
    clock.now(lake).await.ok_or(PromError::Unavailable)
}

/// Computes on a thread of its own, but not for ever.
async fn compute<T: Send + 'static>(
    work: impl FnOnce(&Evaluator) -> Result<T, PromError> + Send + 'static,
) -> Result<T, PromError> {
    let evaluator = Evaluator {
        deadline: Instant::now() + PATIENCE,
    };
    let done = spawn_blocking(move || work(&evaluator)).await;
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "a PromQL query broke off");
        Err(PromError::Execution("the query broke off".to_owned()))
    })
}
