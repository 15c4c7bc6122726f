//! Schemas of parameters and responses that routes share.

use std::collections::BTreeMap;

use marketlake_lake::{with_aggregates, with_statistics};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// Response format of rows.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes a parameter")]
pub(crate) enum FormatName {
    Rows,
    Columns,
    Csv,
    Ndjson,
    Arrow,
    Parquet,
}

macro_rules! define_statistic {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// Statistic by which metrics are ranked; one without it is unranked.
        #[derive(ToSchema)]
        #[schema(rename_all = "snake_case")]
        #[expect(dead_code, reason = "it describes a parameter")]
        pub(crate) enum StatisticName {
            $($(#[$doc])* $variant,)*
        }
    };
}

with_statistics!(define_statistic);

macro_rules! define_aggregate {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// Aggregate function over an interval.
        #[derive(ToSchema)]
        #[schema(rename_all = "snake_case")]
        #[expect(dead_code, reason = "it describes a parameter")]
        pub(crate) enum AggregateName {
            $($(#[$doc])* $variant,)*
            /// Open, high, low and close.
            Ohlc,
        }
    };
}

with_aggregates!(define_aggregate);

/// Direction of a rule.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes a parameter")]
pub(crate) enum DirectionName {
    Up,
    Down,
}

/// With `format=columns`: the shared values once, the columns' names, and an array for each column,
/// named in the plural.
#[derive(Serialize, ToSchema)]
pub(crate) struct Columns {
    /// The columns' names.
    columns: Vec<String>,
    /// Cursor of the next page; none at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

macro_rules! rows {
    ($either:ident: $page:ident of $row:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Serialize, ToSchema)]
        #[serde(untagged)]
        #[expect(dead_code, reason = "it describes an answer")]
        pub(crate) enum $either {
            /// Rows.
            Rows($page),
            /// Columns.
            Columns(Columns),
        }

        #[doc = $doc]
        #[derive(Serialize, ToSchema)]
        pub(crate) struct $page {
            data: Vec<$row>,
            /// Cursor of the next page; null at the end.
            next: Option<String>,
        }
    };
}

/// A metric.
#[derive(Serialize, ToSchema)]
pub(crate) struct MetricRow {
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
}
rows!(MetricPage: MetricRows of MetricRow, "A page of metrics.");

/// A sample; or a candle, which has open, high, low, close and count in place of value.
#[derive(Serialize, ToSchema)]
pub(crate) struct SampleRow {
    /// The metric's name.
    #[schema(example = "hottry")]
    metric: String,
    /// The start of the minute, UTC.
    #[schema(format = DateTime)]
    timestamp: String,
    /// Value, exactly as the exchange sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
}
rows!(SamplePage: SampleRows of SampleRow, "A page of samples.");

/// Rank of a metric.
#[derive(Serialize, ToSchema)]
pub(crate) struct RankRow {
    /// The metric's name.
    metric: String,
    /// The metric's id.
    id: String,
    /// Its place, from 1.
    rank: u64,
    /// Value of the statistic.
    value: f64,
}
rows!(RankPage: RankRows of RankRow, "A page of places.");

/// A jump.
#[derive(Serialize, ToSchema)]
pub(crate) struct JumpRow {
    /// The metric's name.
    metric: String,
    /// The metric's id.
    id: String,
    /// The minute.
    #[schema(format = DateTime)]
    timestamp: String,
    /// The value that jumped.
    value: f64,
    /// Mean of the samples before it.
    mean: f64,
    /// Value over mean.
    ratio: f64,
    /// Number of samples in the mean.
    samples: u64,
}
rows!(JumpPage: JumpRows of JumpRow, "A page of jumps.");

/// Problem details of an error (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    #[schema(example = "about:blank")]
    r#type: String,
    /// Summary of the kind of error.
    title: String,
    /// The HTTP status.
    status: u16,
    /// Explanation of this error: the expected and the actual value.
    detail: String,
    /// The parameter that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The metric that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    /// The fields of the body that are wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldProblem>>,
}

/// Error in one field of the body.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    field: String,
    message: String,
    code: String,
}

/// Error responses of a list.
pub(crate) struct ErrorResponses;
/// Error responses of one metric.
pub(crate) struct MetricErrorResponses;
/// Error responses of one metric in the only format that there is, without a cache.
pub(crate) struct UncachedMetricErrorResponses;
/// Error responses of subscriptions, which belong to an owner.
pub(crate) struct SubscriptionErrorResponses;

type Responses = BTreeMap<String, RefOr<Response>>;

fn problems(all: &[(&str, &str)]) -> Responses {
    let described = all.iter().map(|(status, description)| {
        let body = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("ProblemBody")))
            .build();
        let response = ResponseBuilder::new()
            .description(*description)
            .content("application/problem+json", body)
            .build();
        ((*status).to_owned(), RefOr::T(response))
    });
    described.collect()
}

const OF_ALL: [(&str, &str); 7] = [
    (
        "304",
        "The response that If-None-Match names is still current.",
    ),
    ("400", "A parameter is invalid."),
    ("401", "The API key or token is missing or invalid."),
    ("403", "The key may not do this."),
    (
        "406",
        "The Accept header allows none of the response's media types.",
    ),
    ("429", "The rate limit is exceeded."),
    (
        "503",
        "The server is overloaded, or the lake cannot be read.",
    ),
];

impl IntoResponses for ErrorResponses {
    fn responses() -> Responses {
        let mut all = problems(&OF_ALL);
        if let Some(RefOr::T(unchanged)) = all.get_mut("304") {
            unchanged.content.clear();
        }
        all
    }
}

impl IntoResponses for MetricErrorResponses {
    fn responses() -> Responses {
        let mut all = ErrorResponses::responses();
        all.extend(problems(&[("404", "No such metric was ever recorded.")]));
        all
    }
}

impl IntoResponses for UncachedMetricErrorResponses {
    fn responses() -> Responses {
        let mut all = MetricErrorResponses::responses();
        all.remove("304");
        all.remove("406");
        all
    }
}

impl IntoResponses for SubscriptionErrorResponses {
    fn responses() -> Responses {
        let mut all = ErrorResponses::responses();
        all.remove("304");
        all.remove("406");
        all.extend(problems(&[
            (
                "404",
                "No object has this id, or it belongs to someone else.",
            ),
            ("409", "The subscription's state does not allow this."),
            ("413", "The body is too large."),
            ("415", "The body is not JSON."),
            ("422", "Fields of the body are invalid."),
        ]));
        all
    }
}
