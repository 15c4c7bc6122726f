//! `GET /v1/metric/{name}/rank`: a metric's place among all of its measure.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use marketlake_lake::Lake;
use serde::Serialize;

use super::parameters::Parameters;
use super::{Problem, rows};

/// The answer.
#[derive(Serialize)]
struct Answer {
    metric: String,
    id: String,
    rank: Option<u64>,
    of: u64,
    display: String,
    statistic: &'static str,
    value: Option<f64>,
    from: String,
    to: String,
}

/// Answers with the place over the last 24 hours; an unranked metric has none.
pub(crate) async fn get(
    State(lake): State<Arc<Lake>>,
    Path(name): Path<String>,
    query: Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let at = Parameters::new(query, &["at"])?.minute("at")?;
    let metric = lake
        .resolve(&name)
        .await?
        .ok_or_else(|| Problem::unknown_metric(&name))?;
    let rank = lake.rank(&lake.engine(), metric, at).await?;
    let simulated = rank.listed.metric.is_simulated();
    let answer = Json(Answer {
        display: rank.display(),
        id: rank.listed.metric.id().to_owned(),
        metric: rank.listed.name,
        rank: rank.standing.as_ref().map(|standing| standing.rank),
        of: rank.of,
        statistic: "stddev",
        value: rank.standing.map(|standing| standing.stddev),
        from: rank.span.from.to_string(),
        to: rank.span.to.to_string(),
    });
    Ok(rows::marked(answer.into_response(), simulated))
}
