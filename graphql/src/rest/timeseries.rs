//! `GET /v1/metric/{name}/timeseries`: a metric's samples, by default of the last 24 hours.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use marketlake_entities::{Millis, Minute, parse_time};
use marketlake_lake::{
    Aggregate, Bucket, Interval, Lake, ParseAggregateError, ParseIntervalError, Point, QueryEngine,
    Span,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::parameters::Parameters;
use super::{Problem, rows};

const KNOWN: [&str; 8] = [
    "at",
    "from",
    "to",
    "limit",
    "cursor",
    "format",
    "interval",
    "aggregate",
];

#[derive(Serialize)]
struct Row<'a> {
    metric: &'a str,
    timestamp: String,
    value: Box<RawValue>,
}

/// What an interval held.
#[derive(Serialize)]
struct Candle {
    metric: String,
    timestamp: String,
    open: Box<RawValue>,
    high: Box<RawValue>,
    low: Box<RawValue>,
    close: Box<RawValue>,
    count: u64,
}

/// What stands for an interval.
#[derive(Clone, Copy)]
enum Gathering {
    Value(Aggregate),
    Ohlc,
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

/// Answers with rows, or with columns where `format=columns`; with `interval`, one value or candle each.
pub(crate) async fn get(
    State(lake): State<Arc<Lake>>,
    Path(name): Path<String>,
    query: Query<HashMap<String, String>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::new(query, &KNOWN)?;
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
    let gathering = gathering(&parameters, columns)?;
    let (limit, behind) = (parameters.limit()?, parameters.cursor()?);
    let behind = behind.map(|place| parse_time(&place)).transpose();
    let behind = behind.map_err(|error| Problem::bad_parameter("cursor", &error.to_string()))?;
    let span = span(&lake, &parameters).await?;
    let metric = lake
        .resolve(&name)
        .await?
        .ok_or_else(|| Problem::unknown_metric(&name))?;
    let listed = lake.listed(metric);
    let simulated = listed.metric.is_simulated();
    let mut asked = span;
    if let Some(last) = behind.map(Millis::minute) {
        // An interval begins at its own start, so that what comes behind it is not cut.
        let next = if gathering.is_some() {
            last
        } else {
            last.plus(1)
        };
        asked.from = asked.from.max(next);
    }
    let is_behind = |ts: Minute| behind.is_none_or(|last| ts > last.minute());
    if let Some((interval, Gathering::Ohlc)) = gathering {
        let buckets = lake
            .engine()
            .buckets(&listed.metric, asked, interval)
            .await?;
        let candles = buckets.iter().filter(|bucket| is_behind(bucket.start));
        let page = rows::limited(&uri, candles.collect(), limit, |bucket: &&Bucket| {
            (bucket.start, candle(&listed.name, bucket))
        });
        return Ok(rows::marked(page, simulated));
    }
    let gathering = gathering.and_then(|(interval, gathering)| match gathering {
        Gathering::Value(aggregate) => Some((interval, aggregate)),
        Gathering::Ohlc => None,
    });
    let engine = lake.engine();
    let mut points = lake
        .points(&engine, &listed.metric, asked, gathering)
        .await?;
    points.retain(|point| is_behind(point.ts));
    if columns {
        let answer = Json(as_columns(listed.name, listed.metric.id(), span, &points));
        return Ok(rows::marked(answer.into_response(), simulated));
    }
    let page = rows::limited(&uri, points, limit, |point| {
        let row = Row {
            metric: &listed.name,
            timestamp: point.ts.to_string(),
            value: rows::number(point.value),
        };
        (point.ts, row)
    });
    Ok(rows::marked(page, simulated))
}

/// `interval=5m` and `aggregate=avg|min|max|first|last|sum|count|ohlc`; avg where nothing is said.
fn gathering(
    parameters: &Parameters,
    columns: bool,
) -> Result<Option<(Interval, Gathering)>, Problem> {
    let aggregate = match parameters.get("aggregate") {
        None => Gathering::Value(Aggregate::Avg),
        Some("ohlc") if columns => {
            let problem = "expected another aggregate than ohlc with format=columns";
            return Err(Problem::bad_parameter("aggregate", problem));
        }
        Some("ohlc") => Gathering::Ohlc,
        Some(text) => Gathering::Value(text.parse().map_err(|error: ParseAggregateError| {
            Problem::bad_parameter("aggregate", &format!("{error}, or ohlc"))
        })?),
    };
    let interval = match parameters.get("interval") {
        None if parameters.get("aggregate").is_some() => {
            let problem = "expected interval (5m, 1h, 1d) beside it";
            return Err(Problem::bad_parameter("aggregate", problem));
        }
        None => return Ok(None),
        Some(text) => text.parse().map_err(|error: ParseIntervalError| {
            Problem::bad_parameter("interval", &error.to_string())
        })?,
    };
    Ok(Some((interval, aggregate)))
}

fn candle(name: &str, bucket: &Bucket) -> Candle {
    Candle {
        metric: name.to_owned(),
        timestamp: bucket.start.to_string(),
        open: rows::number(bucket.first),
        high: rows::number(bucket.max),
        low: rows::number(bucket.min),
        close: rows::number(bucket.last),
        count: bucket.count,
    }
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
            let nothing = Minute::from_number(0);
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
