//! Names and labels of series: `/series`, `/labels`, `/label/NAME/values`, `/metadata`.

use std::collections::BTreeSet;
use std::time::Instant;

use axum::extract::{Path, State};
use marketlake_http::compute::{add_points, run_blocking};
use marketlake_lake::{Directory, Lake, LakeError, QueryEngine, Span};
use marketlake_model::Metric;
use promql_parser::label::Matchers;
use promql_parser::parser::Expr;
use serde_json::{Value as Json, json};

use super::context::{ApiResult, ApiState, deadline, parse_checked};
use super::labels::{self, Labels, NAME};
use super::parameters::Parameters;
use super::selectors::{minute, select};
use super::value::PromError;
use super::{answer, bounds};

/// Selectors of one request; each is compared with every metric.
const MAX_SELECTORS: usize = 32;

pub(super) async fn series(State((lake, _, max)): ApiState, parameters: Parameters) -> ApiResult {
    if parameters.get("match[]").is_none() {
        let problem = "match[]: expected one selector at least";
        return Err(PromError::BadData(problem.to_owned()));
    }
    let deadline = deadline();
    let metrics = wanted(&lake, &parameters, deadline).await?;
    let answer = run_blocking(deadline, move || {
        let labels = metrics.iter().map(|metric| Labels::of(metric).to_json());
        answer::success(&Json::Array(labels.collect()), max)
    });
    answer.await?
}

pub(super) async fn label_names(
    State((lake, _, max)): ApiState,
    parameters: Parameters,
) -> ApiResult {
    let deadline = deadline();
    let metrics = wanted(&lake, &parameters, deadline).await?;
    let names: BTreeSet<&str> = if metrics.is_empty() {
        BTreeSet::new()
    } else {
        labels::NAMES.into()
    };
    answer::success(&json!(names), max)
}

pub(super) async fn label_values(
    State((lake, _, max)): ApiState,
    Path(name): Path<String>,
    parameters: Parameters,
) -> ApiResult {
    let deadline = deadline();
    let metrics = wanted(&lake, &parameters, deadline).await?;
    let answer = run_blocking(deadline, move || {
        let values = metrics.iter().map(|metric| labels::label(metric, &name));
        let values: BTreeSet<_> = values.filter(|value| !value.is_empty()).collect();
        answer::success(&json!(values), max)
    });
    answer.await?
}

pub(super) async fn metadata(State((lake, _, max)): ApiState, parameters: Parameters) -> ApiResult {
    let limit = parameters.get("limit").map(str::parse::<usize>).transpose();
    let limit =
        limit.map_err(|_| PromError::BadData("limit: expected a whole number".to_owned()))?;
    let wanted = parameters.get("metric").map(str::to_owned);
    let directory = lake.directory();
    let answer = run_blocking(deadline(), move || {
        let names = directory
            .metrics()
            .map(|metric| labels::label(metric, NAME));
        let names: BTreeSet<_> = names
            .filter(|name| wanted.as_ref().is_none_or(|wanted| wanted == name))
            .collect();
        let described = names
            .into_iter()
            .take(limit.filter(|l| *l > 0).unwrap_or(usize::MAX))
            .map(|name| (name.to_string(), described(&name)));
        answer::success(&Json::Object(described.collect()), max)
    });
    answer.await?
}

fn described(name: &str) -> Json {
    let help = match name {
        "price" => "Price of a pair on a market, in its quote currency.".to_owned(),
        "volume" => "Volume of a pair traded within a minute, in its base currency.".to_owned(),
        other => format!("The measure {other} of a pair on a market."),
    };
    json!([{"type": "gauge", "help": help, "unit": ""}])
}

/// The metrics of `match[]`, all of them where nothing is said; with `start` or `end` those that
/// have a sample between.
async fn wanted(
    lake: &Lake,
    parameters: &Parameters,
    deadline: Instant,
) -> Result<Vec<Metric>, PromError> {
    let (from, to) = (parameters.time("start")?, parameters.time("end")?);
    let selectors: Vec<String> = parameters.all("match[]").map(str::to_owned).collect();
    if selectors.len() > MAX_SELECTORS {
        let problem = format!(
            "match[]: expected at most {MAX_SELECTORS} selectors, got {}",
            selectors.len()
        );
        return Err(PromError::BadData(problem));
    }
    add_points(selectors.len().saturating_sub(1));
    let directory = lake.directory();
    let found = run_blocking(deadline, move || {
        let selectors = parse_selectors(&selectors)?;
        select_any(&directory, &selectors, deadline)
    });
    let mut metrics = found.await??;
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
    Ok(metrics)
}

fn parse_selectors(selectors: &[String]) -> Result<Vec<Matchers>, PromError> {
    bounds::check_all("match[]", selectors)?;
    let parsed = selectors
        .iter()
        .map(|text| match parse_checked("match[]", text)? {
            Expr::VectorSelector(selector) => Ok(labels::matchers(&selector)),
            _ => {
                let problem = "match[]: expected a selector, like price{market=\"binance\"}";
                Err(PromError::BadData(problem.to_owned()))
            }
        });
    parsed.collect()
}

/// The metrics that one of some selectors means, in order; all of them where there is none.
fn select_any(
    directory: &Directory,
    selectors: &[Matchers],
    deadline: Instant,
) -> Result<Vec<Metric>, PromError> {
    let is_wanted = |metric: &Metric| {
        selectors.is_empty() || selectors.iter().any(|s| labels::means(s, metric))
    };
    let mut found = select(directory, is_wanted, deadline)?;
    found.sort_unstable();
    Ok(found)
}

/// Metrics with a sample in a span, which is cut at the newest minute.
async fn alive(lake: &Lake, span: Span) -> Result<Vec<Metric>, LakeError> {
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
