//! `GET /v1/metric/{name}/rank`: a metric's place among all of its measure.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use marketlake_lake::Lake;
use serde::Serialize;

use super::Problem;
use super::parameters::Parameters;

/// The answer.
#[derive(Serialize)]
pub(crate) struct Answer {
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
) -> Result<Json<Answer>, Problem> {
    let at = Parameters::new(query, &["at"])?.minute("at")?;
    let metric = lake.resolve(&name).await?.ok_or_else(|| Problem::unknown_metric(&name))?;
    let rank = lake.rank(&lake.engine(), metric, at).await?;
    Ok(Json(Answer {
        display: rank.display(),
        id: rank.listed.metric.id().to_owned(),
        metric: rank.listed.name,
        rank: rank.standing.as_ref().map(|standing| standing.rank),
        of: rank.of,
        statistic: "stddev",
        value: rank.standing.map(|standing| standing.stddev),
        from: rank.span.from.to_string(),
        to: rank.span.to.to_string(),
    }))
}
