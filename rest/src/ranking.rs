//! `GET /v1/ranking`: ranking of a measure.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_http::problem::Problem;
use marketlake_lake::{Lake, RankedMetric};
use marketlake_model::{Metric, PRICE};

use super::format::Format;
use super::table::{self, Table, Values};
use crate::query_params::QueryParams;

/// All ranked metrics of a measure over the last 24 hours, by place, then id.
#[utoipa::path(
    get,
    operation_id = "get_ranking",
    path = "/v1/ranking",
    tag = "prices",
    params(
        ("measure" = Option<String>, Query, description = "Measure of the metrics; price by \
            default.", example = "price"),
        ("statistic" = Option<crate::schemas::StatisticName>, Query, description = "Statistic by \
            which metrics are ranked; stddev by default."),
        ("at" = Option<String>, Query, format = DateTime, description = "Minute of the answer; \
            the newest by default."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "Rows of a \
            page."),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page."),
        ("format" = Option<crate::schemas::FormatName>, Query, description = "Format of the rows; \
            by default the Accept header decides."),
    ),
    responses(
        (status = 200, description = "A page of places.", content(
            (crate::schemas::RankPage = "application/json"), (String = "text/csv"),
            (String = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"))),
        crate::schemas::ErrorResponses,
    ),
)]
pub(super) async fn get(
    State(lake): State<Arc<Lake>>,
    Extension(max): Extension<MaxBytes>,
    headers: HeaderMap,
    query: Query<HashMap<String, String>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let known = ["measure", "statistic", "at", "limit", "cursor", "format"];
    let params = QueryParams::new(query, &known)?;
    let format = Format::of(&params, &headers)?;
    let (limit, behind) = (table::limit(&params, format)?, params.cursor()?);
    let (measure, statistic) = (params.get("measure").unwrap_or(PRICE), params.statistic()?);
    let (engine, at) = (lake.engine(), params.minute("at")?);
    let ranks = lake
        .queries()
        .rank_all(&engine, measure, statistic, at)
        .await?;
    let all = ranks
        .as_ref()
        .map_or(&[][..], |ranks| ranks.ranking.ranked());
    let start = match (&behind, &ranks) {
        (Some(id), Some(ranks)) => {
            let metric: Option<Metric> = id.parse().ok();
            let at = metric.and_then(|metric| ranks.ranking.index_of(&metric));
            let problem = "expected a cursor of this ranking; its metric is not ranked any more";
            at.ok_or_else(|| Problem::bad_parameter("cursor", problem))? + 1
        }
        _ => 0,
    };
    let end = all.len().min(start.saturating_add(limit));
    let page = &all[start..end];
    let next = page
        .last()
        .filter(|_| end < all.len())
        .map(|last| last.metric.id());
    let text = |of: &dyn Fn(&RankedMetric) -> String| Values::Text(page.iter().map(of).collect());
    let mut table = Table::new(page.iter().any(|standing| standing.metric.is_simulated()))
        .share("measure", measure)
        .share("statistic", statistic.to_string())
        .share("of", all.len());
    if let Some(ranks) = &ranks {
        table = table
            .share("from", ranks.span.from.to_string())
            .share("to", ranks.span.to.to_string());
    }
    table
        .column(
            "metric",
            text(&|s| lake.queries().named_metric(s.metric.clone()).name),
        )
        .column("id", text(&|s| s.metric.id().to_owned()))
        .column("rank", Values::Count(page.iter().map(|s| s.rank).collect()))
        .column(
            "value",
            Values::Float(page.iter().map(|s| Some(s.value)).collect()),
        )
        .respond(format, max, &uri, next)
}
