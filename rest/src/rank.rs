//! `GET /v1/metric/{name}/rank`: rank of a metric among all of its measure.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use marketlake_http::problem::Problem;
use marketlake_lake::Lake;
use serde::Serialize;

use super::table::marked;
use crate::query_params::QueryParams;
use crate::resolve::resolve;

/// Rank of a metric.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RankAnswer {
    /// Name of the metric.
    #[schema(example = "hottry")]
    metric: String,
    /// Id of the metric.
    #[schema(example = "binance:hottry")]
    id: String,
    /// Its place, from 1; null where it is unranked.
    rank: Option<u64>,
    /// Number of ranked metrics.
    of: u64,
    /// Rank and number of ranked metrics.
    #[schema(example = "5/43")]
    display: String,
    /// Statistic by which it is ranked.
    #[schema(example = "stddev")]
    statistic: String,
    /// The statistic itself; null where it is unranked.
    value: Option<f64>,
    /// The first minute that counts.
    from: String,
    /// The last minute that counts.
    to: String,
}

/// Rank of a metric over the last 24 hours; null for an unranked metric.
#[utoipa::path(
    get,
    operation_id = "get_rank",
    path = "/v1/metric/{name}/rank",
    tag = "prices",
    params(
        ("name" = String, Path, description = "Name or id.", example = "hottry"),
        ("statistic" = Option<crate::schemas::StatisticName>, Query, description = "Statistic by \
            which metrics are ranked; stddev by default."),
        ("at" = Option<String>, Query, format = DateTime, description = "Minute of the answer; \
            the newest by default."),
    ),
    responses(
        (status = 200, description = "Its place.", body = RankAnswer),
        crate::schemas::MetricErrorResponses,
    ),
)]
pub(super) async fn get(
    State(lake): State<Arc<Lake>>,
    Path(name): Path<String>,
    query: Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let params = QueryParams::new(query, &["at", "statistic"])?;
    let (at, statistic) = (params.minute("at")?, params.statistic()?);
    let metric = resolve(&lake, &name).await?;
    let rank = lake
        .queries()
        .rank(&lake.engine(), metric, statistic, at)
        .await?;
    let simulated = rank.named.metric.is_simulated();
    let answer = Json(RankAnswer {
        display: rank.display(),
        id: rank.named.metric.id().to_owned(),
        metric: rank.named.name,
        rank: rank.ranked.as_ref().map(|standing| standing.rank),
        of: rank.of,
        statistic: rank.statistic.to_string(),
        value: rank.ranked.map(|standing| standing.value),
        from: rank.span.from.to_string(),
        to: rank.span.to.to_string(),
    });
    Ok(marked(answer.into_response(), simulated))
}
