//! `GET /v1/metric/{name}/timeseries`: a metric's samples, by default of the last 24 hours.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use marketlake_common::{excerpt, one_of};
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_http::problem::Problem;
use marketlake_lake::{
    Aggregate, Bucket, Interval, Lake, NamedMetric, ParseAggregateError, ParseIntervalError, Point,
    QueryEngine, Span,
};
use marketlake_model::{Millis, Minute, parse_time};

use super::format::Format;
use super::table::{self, Table, Values};
use crate::query_params::QueryParams;
use crate::resolve::resolve;

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
/// A year of samples.
const MAX_MINUTES: i64 = 366 * 1_440;

/// Aggregate of an interval: one value, or a candle.
#[derive(Clone, Copy)]
enum Gathering {
    Value(Aggregate),
    Ohlc,
}

/// A metric's samples, from `from` to `to`, both within; with `interval`, one value or candle each.
#[utoipa::path(
    get,
    operation_id = "get_timeseries",
    path = "/v1/metric/{name}/timeseries",
    tag = "prices",
    params(
        ("name" = String, Path, description = "Name or id.", example = "hottry"),
        ("from" = Option<String>, Query, format = DateTime, description = "First minute; 24 hours \
            before the last by default."),
        ("to" = Option<String>, Query, format = DateTime, description = "Last minute; `at` by \
            default."),
        ("at" = Option<String>, Query, format = DateTime, description = "Minute of the answer; \
            the newest by default."),
        ("interval" = Option<String>, Query, description = "Length of an interval: whole minutes \
            up to 366 days.", example = "5m"),
        ("aggregate" = Option<crate::schemas::AggregateName>, Query, description = "Aggregate \
            function of an interval; avg by default."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "Rows of a \
            page."),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page."),
        ("format" = Option<crate::schemas::FormatName>, Query, description = "Format of the rows; \
            by default the Accept header decides."),
    ),
    responses(
        (status = 200, description = "A page of samples, or of candles.", content(
            (crate::schemas::SamplePage = "application/json"), (String = "text/csv"),
            (String = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"))),
        crate::schemas::MetricErrorResponses,
    ),
)]
pub(super) async fn get(
    State(lake): State<Arc<Lake>>,
    Path(name): Path<String>,
    Extension(max): Extension<MaxBytes>,
    headers: HeaderMap,
    query: Query<HashMap<String, String>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = QueryParams::new(query, &KNOWN)?;
    let format = Format::of(&params, &headers)?;
    let gathering = gathering(&params)?;
    let (limit, behind) = (table::limit(&params, format)?, params.cursor()?);
    let behind = behind.map(|place| parse_time(&place)).transpose();
    let behind = behind.map_err(|error| Problem::bad_parameter("cursor", &error.to_string()))?;
    let behind = behind.map(Millis::minute);
    let span = span(&lake, &params).await?;
    let metric = resolve(&lake, &name).await?;
    let listed = lake.queries().named_metric(metric);
    let mut page_span = span;
    if let Some(last) = behind {
        // An interval begins at its own start, so that what comes behind it is not cut.
        let next = if gathering.is_some() {
            last
        } else {
            last.plus(1)
        };
        page_span.from = page_span.from.max(next);
    }
    if gathering.is_none() {
        check_size(page_span)?;
    }
    let is_behind = |ts: Minute| behind.is_none_or(|last| ts > last);
    if let Some((interval, Gathering::Ohlc)) = gathering {
        let mut buckets = lake
            .engine()
            .buckets(&listed.metric, page_span, interval)
            .await?;
        buckets.retain(|bucket| is_behind(bucket.start));
        let next = cut(&mut buckets, limit, |bucket| bucket.start);
        return candles(&listed, span, &buckets).respond(format, max, &uri, next.as_deref());
    }
    let gathering = gathering.and_then(|(interval, gathering)| match gathering {
        Gathering::Value(aggregate) => Some((interval, aggregate)),
        Gathering::Ohlc => None,
    });
    let engine = lake.engine();
    let mut points = lake
        .queries()
        .points(&engine, &listed.metric, page_span, gathering)
        .await?;
    points.retain(|point| is_behind(point.ts));
    let next = cut(&mut points, limit, |point| point.ts);
    samples(&listed, span, &points).respond(format, max, &uri, next.as_deref())
}

/// Leaves a page of rows; the place of its last one, where there are more.
fn cut<T>(rows: &mut Vec<T>, limit: usize, of: impl Fn(&T) -> Minute) -> Option<String> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last()
        .filter(|_| more)
        .map(|last| of(last).to_string())
}

fn begun(listed: &NamedMetric, span: Span, rows: usize) -> Table {
    Table::new(listed.metric.is_simulated())
        .share("metric", listed.name.as_str())
        .share("id", listed.metric.id())
        .share("from", span.from.to_string())
        .share("to", span.to.to_string())
        .shared_column("metric", &listed.name, rows)
}

fn samples(listed: &NamedMetric, span: Span, points: &[Point]) -> Table {
    let times = points.iter().map(|point| point.ts).collect();
    let values = points.iter().map(|point| point.value).collect();
    begun(listed, span, points.len())
        .column("timestamp", Values::Time(times))
        .column("value", Values::Exact(values))
}

fn candles(listed: &NamedMetric, span: Span, buckets: &[Bucket]) -> Table {
    let number = |of: fn(&Bucket) -> marketlake_model::Exact| {
        Values::Number(buckets.iter().map(of).collect())
    };
    let times = buckets.iter().map(|bucket| bucket.start).collect();
    let counts = buckets.iter().map(|bucket| bucket.count).collect();
    begun(listed, span, buckets.len())
        .column("timestamp", Values::Time(times))
        .column("open", number(|b| b.first))
        .column("high", number(|b| b.max))
        .column("low", number(|b| b.min))
        .column("close", number(|b| b.last))
        .column("count", Values::Count(counts))
}

fn check_size(span: Span) -> Result<(), Problem> {
    let minutes = span.to.number() - span.from.number() + 1;
    if minutes <= MAX_MINUTES {
        return Ok(());
    }
    let problem = format!(
        "expected at most {MAX_MINUTES} minutes up to {}, got {minutes}; with interval there may \
         be more",
        span.to
    );
    Err(Problem::bad_parameter("from", &problem))
}

/// `interval=5m` and `aggregate=avg|min|max|first|last|sum|count|ohlc`; avg where nothing is said.
fn gathering(params: &QueryParams) -> Result<Option<(Interval, Gathering)>, Problem> {
    let aggregate = match params.get("aggregate") {
        None => Gathering::Value(Aggregate::Avg),
        Some("ohlc") => Gathering::Ohlc,
        Some(text) => Gathering::Value(text.parse().map_err(|_: ParseAggregateError| {
            let names = [&Aggregate::names()[..], &["ohlc"]].concat();
            let problem = format!("expected {}, got {:?}", one_of(&names), excerpt(text));
            Problem::bad_parameter("aggregate", &problem)
        })?),
    };
    let interval = match params.get("interval") {
        None if params.get("aggregate").is_some() => {
            let problem = "expected with interval (5m, 1h, 1d) only";
            return Err(Problem::bad_parameter("aggregate", problem));
        }
        None => return Ok(None),
        Some(text) => text.parse().map_err(|error: ParseIntervalError| {
            Problem::bad_parameter("interval", &error.to_string())
        })?,
    };
    Ok(Some((interval, aggregate)))
}

/// `from` to `to`; without `from` 24 hours, without `to` up to `at`, which is the newest minute
/// unless given.
async fn span(lake: &Lake, params: &QueryParams) -> Result<Span, Problem> {
    // Each is looked at, also where another one decides.
    let (from, to, at) = (
        params.minute("from")?,
        params.minute("to")?,
        params.minute("at")?,
    );
    match lake.queries().default_span(from, to.or(at)).await? {
        Some(span) => span
            .validate()
            .map_err(|reason| Problem::bad_parameter("from", &reason)),
        None => {
            let nothing = Minute::from_number(0);
            Ok(Span {
                from: from.unwrap_or(nothing),
                to: from.unwrap_or(nothing),
            })
        }
    }
}
