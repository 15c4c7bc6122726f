//! `GET /v1/jumps`: samples that stand out.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use marketlake_alerts::NewSubscription;
use marketlake_lake::Lake;
use marketlake_model::Jump;

use super::format::Format;
use super::parameters::Parameters;
use super::table::{self, Table, Values};
use super::{Problem, problem};
use crate::limits::MaxBytes;
use crate::schema::jumps;

const KNOWN: [&str; 10] = [
    "metric",
    "from",
    "to",
    "factor",
    "direction",
    "window_minutes",
    "min_samples",
    "limit",
    "cursor",
    "format",
];

/// Samples that stand out, by time, then id: of one metric up to 366 days, of all of them up to a day.
#[utoipa::path(
    get,
    operation_id = "list_jumps",
    path = "/v1/jumps",
    tag = "prices",
    params(
        ("metric" = Option<String>, Query, description = "Name or id; all metrics, if none is given.", example = "hottry:volume"),
        ("from" = Option<String>, Query, format = DateTime, description = "The first minute; of one metric 24 hours before the last, of all of them an hour, if none is given."),
        ("to" = Option<String>, Query, format = DateTime, description = "The last minute; the newest, if none is given."),
        ("factor" = Option<f64>, Query, description = "Times the mean, above 1; 3, if none is given.", example = 3.0),
        ("direction" = Option<super::describe::DirectionName>, Query, description = "Which way; up, if nothing is said."),
        ("window_minutes" = Option<u32>, Query, minimum = 1, maximum = 1_440, description = "Length of the time that the mean is of; 60, if none is given."),
        ("min_samples" = Option<u32>, Query, minimum = 1, maximum = 1_440, description = "Minimum number of samples in the window; three quarters of it, if none is given."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "Rows of a page."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
        ("format" = Option<super::describe::FormatName>, Query, description = "In which form the rows come; else Accept says it."),
    ),
    responses(
        (status = 200, description = "A page of jumps.", content(
            (super::describe::JumpPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"), (Vec<u8> = "application/vnd.apache.parquet"))),
        super::describe::ProblemsOfOne,
    ),
)]
pub(super) async fn get(
    State(lake): State<Arc<Lake>>,
    Extension(max): Extension<MaxBytes>,
    headers: HeaderMap,
    query: Query<HashMap<String, String>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::new(query, &KNOWN)?;
    let format = Format::of(&parameters, &headers)?;
    let (limit, behind) = (table::limit(&parameters, format)?, parameters.cursor()?);
    let rule = jumps::rule(&NewSubscription {
        metric: "*".to_owned(),
        factor: parameters.get("factor").map(str::to_owned),
        direction: parameters.get("direction").map(str::to_owned),
        window_minutes: parameters.whole("window_minutes")?,
        min_samples: parameters.whole("min_samples")?,
        ..NewSubscription::default()
    });
    let rule = rule.map_err(|(field, reason)| {
        Problem::bad_parameter(&super::subscriptions::snake(field), &reason)
    })?;
    let metric = match parameters.get("metric") {
        Some(name) => Some(problem::resolve(&lake, name).await?),
        None => None,
    };
    let (from, to) = (parameters.minute("from")?, parameters.minute("to")?);
    let found = jumps::find(&lake, rule, metric, from, to).await?;
    let found = found.map_err(|reason| Problem::bad_parameter("from", &reason))?;
    let start = behind.map_or(0, |behind| {
        found.partition_point(|jump| jumps::place(jump) <= behind)
    });
    let end = found.len().min(start.saturating_add(limit));
    let page = &found[start..end];
    let next = page.last().filter(|_| end < found.len()).map(jumps::place);
    let text = |of: &dyn Fn(&Jump) -> String| Values::Text(page.iter().map(of).collect());
    let float = |of: fn(&Jump) -> f64| Values::Float(page.iter().map(|j| Some(of(j))).collect());
    Table::new(page.iter().any(|jump| jump.metric.is_simulated()))
        .column("metric", text(&|j| lake.listed(j.metric.clone()).name))
        .column("id", text(&|j| j.metric.id().to_owned()))
        .column(
            "timestamp",
            Values::Time(page.iter().map(|j| j.ts).collect()),
        )
        .column(
            "value",
            Values::Number(page.iter().map(|j| j.value).collect()),
        )
        .column("mean", float(|j| j.mean))
        .column("ratio", float(|j| j.ratio))
        .column(
            "samples",
            Values::Count(page.iter().map(|j| j.samples.into()).collect()),
        )
        .respond(format, max, &uri, next.as_deref())
}
