//! Jumps.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};
use marketlake_http::auth::scope::Scope;
use marketlake_http::jump_query::{self, sort_key};
use marketlake_lake::Lake;
use marketlake_model::Metric as Key;

use super::errors::{self, bad_argument};
use super::guard::RequireScope;
use super::metrics::{Metric, minute, resolve};
use super::paging::{self, CursorPosition, Page, PageArgs, Paging};
use super::rule_input::JumpRuleInput;
use super::scalars::{DateTime, Decimal};

/// Jump of a metric, with the numbers that prove it.
#[derive(SimpleObject)]
pub(super) struct Jump {
    /// The metric.
    metric: Metric,
    /// The minute at which it jumped.
    timestamp: DateTime,
    /// The value that jumped, with the digits that the exchange sent.
    value: Decimal,
    /// Mean of the samples before it.
    mean: f64,
    /// Value over mean.
    ratio: f64,
    /// Number of samples in the mean.
    samples: i32,
}

impl Jump {
    pub(super) fn of(lake: &Lake, jump: marketlake_model::Jump) -> Self {
        Self {
            metric: lake.queries().named_metric(jump.metric).into(),
            timestamp: jump.ts.into(),
            value: Decimal(jump.value),
            mean: jump.mean,
            ratio: jump.ratio,
            samples: i32::try_from(jump.samples).unwrap_or(i32::MAX),
        }
    }
}

/// A page of jumps.
pub(super) async fn page(
    context: &Context<'_>,
    metric: Option<Key>,
    rule: &JumpRuleInput,
    from: Option<DateTime>,
    to: Option<DateTime>,
    paging: &Paging,
) -> Result<Page<Jump>> {
    let lake = context.data::<Arc<Lake>>()?;
    let rule = rule.rule()?;
    let jumps = jump_query::find(lake, rule, metric, from.map(minute), to.map(minute)).await;
    let jumps = jumps.map_err(errors::lake)?;
    let jumps = jumps.map_err(|reason| bad_argument("from", &reason))?;
    let position = |wanted: &str| {
        let at = jumps.partition_point(|jump| sort_key(jump).as_str() < wanted);
        let behind = jumps.partition_point(|jump| sort_key(jump).as_str() <= wanted);
        Some(CursorPosition { at, behind })
    };
    paging.page(&jumps, position, |jump| {
        (sort_key(jump), Jump::of(lake, jump.clone()))
    })
}

#[derive(Default)]
pub(super) struct JumpsQuery;

#[Object]
impl JumpsQuery {
    /// Jumps by time, then id: of one metric up to 366 days, of all of them up to a day.
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "if metric.is_some() { 100 } else { 1_000 } + \
            paging::complexity(first.or(last), child_complexity)"
    )]
    async fn jumps(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Name or id: hottry:volume. All metrics by default.")] metric: Option<
            String,
        >,
        #[graphql(desc = "Rule by which a sample is a jump.", default)] rule: JumpRuleInput,
        #[graphql(
            desc = "First minute; of one metric 24 hours before the last, of all of them an hour \
                by default."
        )]
        from: Option<DateTime>,
        #[graphql(desc = "Last minute; the newest by default.")] to: Option<DateTime>,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100 by default.")] first: Option<i32>,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Cursor before which the page ends.")] before: Option<String>,
    ) -> Result<Page<Jump>> {
        let paging = Paging::new(&PageArgs {
            first,
            after,
            last,
            before,
        })?;
        let lake = context.data::<Arc<Lake>>()?;
        let metric = match metric {
            Some(name) => Some(resolve(lake, &name).await?),
            None => None,
        };
        page(context, metric, &rule, from, to, &paging).await
    }
}
