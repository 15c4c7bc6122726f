//! `GET /v1/metrics`: what there is.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::Response;
use marketlake_lake::{Lake, Listed};
use serde::Serialize;

use super::parameters::Parameters;
use super::{Problem, rows};

#[derive(Serialize)]
struct Row {
    metric: String,
    id: String,
    market: String,
    pair: String,
    measure: String,
}

/// Answers with the metrics that have a sample in the last 24 hours, by id.
pub(crate) async fn get(
    State(lake): State<Arc<Lake>>,
    query: Query<HashMap<String, String>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::new(query, &["at", "limit", "cursor"])?;
    let (limit, behind) = (parameters.limit()?, parameters.cursor()?);
    let listed = lake.list(&lake.engine(), parameters.minute("at")?).await?;
    let start = behind.map_or(0, |id| {
        listed.partition_point(|l| l.metric.id() <= id.as_str())
    });
    let page = &listed[start..];
    let next = page
        .get(limit)
        .and_then(|_| page.get(limit - 1))
        .map(|last| last.metric.id());
    let simulated = page
        .iter()
        .take(limit)
        .any(|listed| listed.metric.is_simulated());
    let rows = page.iter().take(limit).map(row).collect();
    Ok(rows::marked(rows::page(&uri, rows, next), simulated))
}

fn row(listed: &Listed) -> Row {
    let metric = &listed.metric;
    Row {
        metric: listed.name.clone(),
        id: metric.id().to_owned(),
        market: metric.market().to_owned(),
        pair: metric.pair().to_owned(),
        measure: metric.measure().to_owned(),
    }
}
