//! `GET /v1/metric/{name}/timeseries`: a metric's samples, by default of the last 24 hours.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use marketlake_entities::parse_time;
use marketlake_lake::{Lake, Point, QueryEngine, Span};
use serde::Serialize;
use serde_json::value::RawValue;

use super::parameters::Parameters;
use super::{Problem, rows};

#[derive(Serialize)]
struct Row {
    metric: String,
    timestamp: String,
    value: Box<RawValue>,
}

/// The same samples with everything that they share said once.
#[derive(Serialize)]
struct Columns {
    metric: String,
    id: String,
    from: String,
    to: String,
    columns: [&'static str; 2],
    timestamps: Vec<String>,
    values: Vec<Box<RawValue>>,
}

/// Answers with rows, or with columns where `format=columns`.
pub(crate) async fn get(
    State(lake): State<Arc<Lake>>,
    Path(name): Path<String>,
    query: Query<HashMap<String, String>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::new(query, &["at", "from", "to", "limit", "cursor", "format"])?;
    let columns = match parameters.get("format") {
        None | Some("rows") => false,
        Some("columns") => true,
        Some(other) => {
            return Err(Problem::bad_parameter(
                "format",
                &format!("expected rows or columns, got {other:?}"),
            ));
        }
    };
    let (limit, behind) = (parameters.limit()?, parameters.cursor()?);
    let span = span(&lake, &parameters).await?;
    let metric = lake
        .resolve(&name)
        .await?
        .ok_or_else(|| Problem::unknown_metric(&name))?;
    let mut asked = span;
    if let Some(place) = behind {
        let last = parse_time(&place)
            .map_err(|error| Problem::bad_parameter("cursor", &error.to_string()))?;
        asked.from = asked.from.max(last.minute().plus(1));
    }
    let listed = lake.listed(metric);
    let mut points = lake.engine().timeseries(&listed.metric, asked).await?;
    let simulated = listed.metric.is_simulated();
    if columns {
        let answer = Json(as_columns(listed.name, listed.metric.id(), span, &points));
        return Ok(rows::marked(answer.into_response(), simulated));
    }
    let more = points.len() > limit;
    points.truncate(limit);
    let next = points
        .last()
        .filter(|_| more)
        .map(|point| point.ts.to_string());
    let data = points.iter().map(|point| Row {
        metric: listed.name.clone(),
        timestamp: point.ts.to_string(),
        value: rows::number(point.value),
    });
    let page = rows::page(&uri, data.collect(), next.as_deref());
    Ok(rows::marked(page, simulated))
}

/// `from` to `to`; without `from` 24 hours, without `to` up to `at`, which is the newest minute unless given.
async fn span(lake: &Lake, parameters: &Parameters) -> Result<Span, Problem> {
    let at = match parameters.minute("to")? {
        Some(to) => Some(to),
        None => parameters.minute("at")?,
    };
    let from = parameters.minute("from")?;
    match lake.span(from, at).await? {
        Some(span) => span
            .forwards()
            .map_err(|reason| Problem::bad_parameter("from", &reason)),
        None => {
            let nothing = marketlake_entities::Minute::from_number(0);
            Ok(Span {
                from: from.unwrap_or(nothing),
                to: nothing,
            })
        }
    }
}

fn as_columns(metric: String, id: &str, span: Span, points: &[Point]) -> Columns {
    Columns {
        metric,
        id: id.to_owned(),
        from: span.from.to_string(),
        to: span.to.to_string(),
        columns: ["timestamp", "value"],
        timestamps: points.iter().map(|point| point.ts.to_string()).collect(),
        values: points
            .iter()
            .map(|point| rows::number(point.value))
            .collect(),
    }
}
