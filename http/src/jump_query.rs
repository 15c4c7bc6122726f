//! Queries of jumps, as GraphQL and REST share them.

use marketlake_alerts::SubscriptionSpec;
use marketlake_lake::{JumpQuery, Lake, LakeError, QueryEngine, Span};
use marketlake_model::{Jump, JumpRule, Metric, Minute};

use crate::compute::run_blocking_query;

const DAY: i64 = 1_440;
/// Longest span of a query of one metric, in minutes.
const MAX_MINUTES_OF_METRIC: i64 = 366 * DAY;
/// Longest span of a query of all metrics, in minutes.
const MAX_MINUTES_OF_ALL: i64 = DAY;
/// Default span of a query of all metrics, in minutes.
const DEFAULT_MINUTES_OF_ALL: i64 = 60;

/// Parses a rule, or names the field that is wrong and the reason.
///
/// # Errors
/// The field that is wrong, and the reason.
pub fn parse_rule(typed: &SubscriptionSpec) -> Result<JumpRule, (&'static str, String)> {
    match typed.check_rule() {
        Ok((_, rule)) => Ok(rule.jump),
        Err(wrong) => Err(wrong.into_iter().next().map_or_else(
            || ("rule", "expected another".to_owned()),
            |error| (error.field, error.message),
        )),
    }
}

/// Minutes to be evaluated; by default the last hour of all metrics or the last day of one.
async fn span(
    lake: &Lake,
    is_of_one: bool,
    from: Option<Minute>,
    to: Option<Minute>,
) -> Result<Result<Option<Span>, String>, LakeError> {
    let (usual, max) = if is_of_one {
        (DAY, MAX_MINUTES_OF_METRIC)
    } else {
        (DEFAULT_MINUTES_OF_ALL, MAX_MINUTES_OF_ALL)
    };
    let Some(day) = lake.queries().last_24h(to).await? else {
        return Ok(Ok(None));
    };
    let from = from.unwrap_or_else(|| day.to.plus(1 - usual));
    let span = Span { from, to: day.to }.validate();
    Ok(span.and_then(|span| {
        let minutes = span.to.number() - span.from.number() + 1;
        let of = if is_of_one { "a metric" } else { "all metrics" };
        if minutes <= max {
            Ok(Some(span))
        } else {
            Err(format!(
                "expected at most {max} minutes of {of} up to {}, got {minutes}",
                span.to
            ))
        }
    }))
}

/// The jumps of one metric or of all, by time, then id; or what was expected of `from`.
///
/// # Errors
/// Fails if the lake cannot be read. The inner error says what was expected of `from`.
pub async fn find(
    lake: &Lake,
    rule: JumpRule,
    metric: Option<Metric>,
    from: Option<Minute>,
    to: Option<Minute>,
) -> Result<Result<Vec<Jump>, String>, LakeError> {
    let span = match span(lake, metric.is_some(), from, to).await? {
        Ok(Some(span)) => span,
        Ok(None) => return Ok(Ok(Vec::new())),
        Err(reason) => return Ok(Err(reason)),
    };
    let (engine, query) = (lake.engine(), JumpQuery { rule, span, metric });
    let found = run_blocking_query(async move { engine.jumps(&query).await }).await;
    found?.map(Ok)
}

/// Sort key by which pages of jumps continue.
pub fn sort_key(jump: &Jump) -> String {
    format!("{} {}", jump.ts, jump.metric)
}
