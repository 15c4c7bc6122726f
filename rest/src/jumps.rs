//! `GET /v1/jumps`: samples that jump.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use marketlake_alerts::SubscriptionSpec;
use marketlake_http::jump_query;
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_http::problem::Problem;
use marketlake_lake::Lake;
use marketlake_model::{Jump, with_rule_fields};

use super::format::Format;
use super::table::{self, Table, Values};
use crate::query_params::QueryParams;
use crate::resolve::resolve;
use crate::schemas::DirectionName;

/// Converts a query parameter to its form in a [`SubscriptionSpec`].
macro_rules! to_spec {
    (decimal $params:expr, $name:expr) => {
        $params.get($name).map(str::to_owned)
    };
    (text $params:expr, $name:expr) => {
        $params.get($name).map(str::to_owned)
    };
    (count $params:expr, $name:expr) => {
        $params.whole($name)?
    };
}

macro_rules! define_params {
    (
        jump { $($(#[$jump_doc:meta])* $jump:ident: $jump_kind:ident $jump_type:ident,)* }
        alerting { $($(#[$doc:meta])* $field:ident: $kind:ident $type:ident,)* }
        lifetime { $($(#[$end_doc:meta])* $end:ident: $end_kind:ident $end_type:ident,)* }
    ) => {
        /// Query parameters that define a jump, for OpenAPI.
        #[derive(utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[expect(dead_code, reason = "describes the parameters, which `QueryParams` reads")]
        struct JumpRuleParams {
            $($(#[$jump_doc])* $jump: Option<$jump_type>,)*
        }

        const KNOWN: &[&str] = &[
            "metric", "from", "to", $(stringify!($jump),)* "limit", "cursor", "format",
        ];

        fn rule_spec(params: &QueryParams) -> Result<SubscriptionSpec, Problem> {
            Ok(SubscriptionSpec {
                metric: "*".to_owned(),
                $($jump: to_spec!($jump_kind params, stringify!($jump)),)*
                ..SubscriptionSpec::default()
            })
        }
    };
}

with_rule_fields!(
    define_params,
    decimal: f64,
    text: DirectionName,
    count: u32,
    time: unused
);

/// Samples that jump, by time, then id: of one metric up to 366 days, of all of them up to a
/// day.
#[utoipa::path(
    get,
    operation_id = "list_jumps",
    path = "/v1/jumps",
    tag = "prices",
    params(
        ("metric" = Option<String>, Query, description = "Name or id; all metrics by \
            default.", example = "hottry:volume"),
        ("from" = Option<String>, Query, format = DateTime, description = "First minute; of one \
            metric 24 hours before the last, of all of them an hour by default."),
        ("to" = Option<String>, Query, format = DateTime, description = "Last minute; the newest \
            by default."),
        JumpRuleParams,
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "Rows of a \
            page."),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page."),
        ("format" = Option<crate::schemas::FormatName>, Query, description = "Format of the rows; \
            by default the Accept header decides."),
    ),
    responses(
        (status = 200, description = "A page of jumps.", content(
            (crate::schemas::JumpPage = "application/json"), (String = "text/csv"),
            (String = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"))),
        crate::schemas::MetricErrorResponses,
    ),
)]
pub(super) async fn get(
    State(lake): State<Arc<Lake>>,
    Extension(max): Extension<MaxBytes>,
    headers: HeaderMap,
    query: Query<HashMap<String, String>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = QueryParams::new(query, KNOWN)?;
    let format = Format::of(&params, &headers)?;
    let (limit, behind) = (table::limit(&params, format)?, params.cursor()?);
    let rule = jump_query::parse_rule(&rule_spec(&params)?);
    let rule = rule.map_err(|(field, reason)| Problem::bad_parameter(field, &reason))?;
    let metric = match params.get("metric") {
        Some(name) => Some(resolve(&lake, name).await?),
        None => None,
    };
    let (from, to) = (params.minute("from")?, params.minute("to")?);
    let found = jump_query::find(&lake, rule, metric, from, to).await?;
    let found = found.map_err(|reason| Problem::bad_parameter("from", &reason))?;
    let start = behind.map_or(0, |behind| {
        found.partition_point(|jump| jump_query::sort_key(jump) <= behind)
    });
    let end = found.len().min(start.saturating_add(limit));
    let page = &found[start..end];
    let next = page
        .last()
        .filter(|_| end < found.len())
        .map(jump_query::sort_key);
    let text = |of: &dyn Fn(&Jump) -> String| Values::Text(page.iter().map(of).collect());
    let float = |of: fn(&Jump) -> f64| Values::Float(page.iter().map(|j| Some(of(j))).collect());
    Table::new(page.iter().any(|jump| jump.metric.is_simulated()))
        .column(
            "metric",
            text(&|j| lake.queries().named_metric(j.metric.clone()).name),
        )
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
