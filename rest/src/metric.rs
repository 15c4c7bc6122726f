//! `GET /v1/metrics/{name}`: one metric, with its latest value and its place.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use marketlake_http::problem::Problem;
use marketlake_lake::{Lake, QueryEngine, Statistic};
use serde::Serialize;
use serde_json::value::RawValue;

use super::table::marked;
use crate::query_params::QueryParams;
use crate::resolve::resolve;

/// A metric, its latest value and its place.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct MetricAnswer {
    /// Name of the metric.
    #[schema(example = "hottry")]
    metric: String,
    /// Id of the metric.
    #[schema(example = "binance:hottry")]
    id: String,
    /// The exchange.
    market: String,
    /// Traded pair, as the exchange writes it.
    pair: String,
    /// Measured quantity, like price or volume.
    measure: String,
    /// Ids of the other metrics with the same short name, in order.
    alternatives: Vec<String>,
    /// The minute of its latest sample; null where it has none in the 24 hours.
    timestamp: Option<String>,
    /// Its latest value, exactly as the exchange sent it.
    #[schema(value_type = Option<f64>)]
    value: Option<Box<RawValue>>,
    /// Its place by standard deviation over the 24 hours; null where it is unranked.
    rank: Option<u64>,
    /// Number of ranked metrics.
    of: u64,
    /// Rank and number of ranked metrics.
    #[schema(example = "5/43")]
    display: String,
}

/// One metric by name or id, with its latest value and its place.
#[utoipa::path(
    get,
    operation_id = "get_metric",
    path = "/v1/metrics/{name}",
    tag = "prices",
    params(
        ("name" = String, Path, description = "Name or id.", example = "hottry"),
        ("at" = Option<String>, Query, format = DateTime, description = "Minute of the answer; \
            the newest by default."),
    ),
    responses(
        (status = 200, description = "The metric.", body = MetricAnswer),
        crate::schemas::MetricErrorResponses,
    ),
)]
pub(super) async fn get(
    State(lake): State<Arc<Lake>>,
    Path(name): Path<String>,
    query: Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let at = QueryParams::new(query, &["at"])?.minute("at")?;
    let metric = resolve(&lake, &name).await?;
    let day = lake.queries().last_24h(at).await?;
    let latest = match day {
        Some(day) => {
            lake.engine()
                .latest(std::slice::from_ref(&metric), day)
                .await?
        }
        None => Vec::new(),
    };
    let latest = latest.into_iter().next().flatten();
    let rank = lake
        .queries()
        .rank(&lake.engine(), metric.clone(), Statistic::Stddev, at)
        .await?;
    let alternatives = lake.directory().alternatives(&metric);
    let answer = MetricAnswer {
        market: metric.market().to_owned(),
        pair: metric.pair().to_owned(),
        measure: metric.measure().to_owned(),
        alternatives: alternatives.iter().map(ToString::to_string).collect(),
        id: metric.id().to_owned(),
        timestamp: latest.map(|point| point.ts.to_string()),
        // Plain decimal text is a JSON number.
        value: latest.and_then(|point| RawValue::from_string(point.value.to_string()).ok()),
        display: rank.display(),
        rank: rank.ranked.as_ref().map(|standing| standing.rank),
        of: rank.of,
        metric: rank.named.name,
    };
    Ok(marked(Json(answer).into_response(), metric.is_simulated()))
}
