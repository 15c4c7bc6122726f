//! `GET /v1/metrics`: the metrics of the last 24 hours.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_http::problem::Problem;
use marketlake_lake::{Lake, NamedMetric};

use super::format::Format;
use super::table::{self, Table, Values};
use crate::query_params::QueryParams;

/// The metrics that have a sample in the last 24 hours, by id.
#[utoipa::path(
    get,
    operation_id = "list_metrics",
    path = "/v1/metrics",
    tag = "prices",
    params(
        ("at" = Option<String>, Query, format = DateTime, description = "Minute of the answer; \
            the newest by default."),
        ("market" = Option<String>, Query, description = "Only of this exchange.",
            example = "binance"),
        ("measure" = Option<String>, Query, description = "Only of this measure.",
            example = "price"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "Rows of a \
            page."),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page."),
        ("format" = Option<crate::schemas::FormatName>, Query, description = "Format of the rows; \
            by default the Accept header decides."),
    ),
    responses(
        (status = 200, description = "A page of metrics.", content(
            (crate::schemas::MetricPage = "application/json"), (String = "text/csv"),
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
    let known = ["at", "limit", "cursor", "market", "measure", "format"];
    let params = QueryParams::new(query, &known)?;
    let format = Format::of(&params, &headers)?;
    let (limit, behind) = (table::limit(&params, format)?, params.cursor()?);
    let listed = lake
        .queries()
        .list_metrics_cached(params.minute("at")?)
        .await?;
    let is = |name: &str, own: &str| params.get(name).is_none_or(|wanted| wanted == own);
    let start = behind.map_or(0, |id| {
        listed.partition_point(|l| l.metric.id() <= id.as_str())
    });
    let mut wanted = listed[start..]
        .iter()
        .filter(|l| is("market", l.metric.market()) && is("measure", l.metric.measure()));
    let page: Vec<&NamedMetric> = wanted.by_ref().take(limit).collect();
    let more = wanted.next().is_some();
    let next = page.last().filter(|_| more).map(|last| last.metric.id());
    let text = |of: fn(&NamedMetric) -> &str| {
        Values::Text(page.iter().map(|listed| of(listed).to_owned()).collect())
    };
    Table::new(page.iter().any(|listed| listed.metric.is_simulated()))
        .column("metric", text(|l| &l.name))
        .column("id", text(|l| l.metric.id()))
        .column("market", text(|l| l.metric.market()))
        .column("pair", text(|l| l.metric.pair()))
        .column("measure", text(|l| l.metric.measure()))
        .respond(format, max, &uri, next)
}
