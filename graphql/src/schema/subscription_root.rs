//! GraphQL subscriptions: events of each committed minute.
//!
//! Each stream looks at the newest minute when it is polled, and waits for the next one: a slow
//! client skips minutes and delays nothing.

use std::collections::HashSet;
use std::sync::Arc;

use async_graphql::{Context, Result, SimpleObject, Subscription};
use futures::{Stream, StreamExt, stream};
use marketlake_http::auth::scope::Scope;
use marketlake_lake::{JumpQuery, Lake, LakeError, QueryEngine, Span};
use marketlake_model::{Metric as Key, Minute, PRICE, Pattern};
use tokio::sync::watch;

use super::errors;
use super::guard::RequireScope;
use super::jumps::Jump;
use super::metrics::{Metric, resolve_all};
use super::paging;
use super::ranking::{Rank, Statistic};
use super::rule_input::JumpRuleInput;
use super::scalars::DateTime;
use super::timeseries::Sample;

const MAX_NAMES: usize = 1_000;

/// A minute that was committed.
#[derive(SimpleObject, Clone)]
struct Slot {
    /// The minute.
    timestamp: DateTime,
}

/// Samples of some metrics at one minute.
#[derive(SimpleObject, Clone)]
struct SlotSamples {
    /// The minute.
    timestamp: DateTime,
    /// The samples, one for each metric that has one at this minute.
    samples: Vec<MetricSample>,
}

/// Metric with its sample at one minute.
#[derive(SimpleObject, Clone)]
struct MetricSample {
    /// The metric.
    metric: Metric,
    /// Its sample.
    sample: Sample,
}

/// The highest-ranked metrics of a measure at a minute.
#[derive(SimpleObject, Clone)]
struct SlotRanking {
    /// The minute.
    timestamp: DateTime,
    /// The highest-ranked metrics, by rank, then id.
    places: Vec<Rank>,
    /// Ids of the metrics whose rank differs from the previous event, or that were not in it; all
    /// ids in the first event.
    changed: Vec<String>,
}

/// The jumps at a minute.
#[derive(SimpleObject)]
struct SlotJumps {
    /// The minute.
    timestamp: DateTime,
    /// The jumps, by id. There is one at least.
    jumps: Vec<Jump>,
}

/// Live values.
#[derive(Default)]
pub(super) struct LiveSubscription;

#[expect(clippy::unused_async, reason = "resolvers are async")]
#[Subscription]
impl LiveSubscription {
    /// Each committed minute; the newest is sent at once.
    #[graphql(guard = "RequireScope(Scope::Read)")]
    async fn slots(&self, context: &Context<'_>) -> Result<impl Stream<Item = Slot> + use<>> {
        let lake = Arc::clone(context.data::<Arc<Lake>>()?);
        Ok(minutes(&lake).map(|minute| Slot {
            timestamp: minute.into(),
        }))
    }

    /// Samples of some metrics at each committed minute; the newest is sent at once.
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "metrics.len() * child_complexity"
    )]
    async fn samples(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Names or ids, 1 to 1,000 of them.")] metrics: Vec<String>,
    ) -> Result<impl Stream<Item = Result<SlotSamples>> + use<>> {
        let lake = Arc::clone(context.data::<Arc<Lake>>()?);
        let metrics: Arc<[Key]> = resolve_all(&lake, &metrics, MAX_NAMES).await?.into();
        Ok(minutes(&lake)
            .then(move |minute| samples(Arc::clone(&lake), Arc::clone(&metrics), minute)))
    }

    /// The highest-ranked metrics of a measure at each committed minute that changes them; the
    /// newest is sent at once.
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "paging::complexity(first, child_complexity)"
    )]
    async fn ranking(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Measure of the metrics; price by default.")] measure: Option<String>,
        #[graphql(desc = "Statistic by which metrics are ranked.", default)] statistic: Statistic,
        #[graphql(desc = "Number of metrics, 1 to 10,000; 100 by default.")] first: Option<i32>,
    ) -> Result<impl Stream<Item = Result<SlotRanking>> + use<>> {
        let lake = Arc::clone(context.data::<Arc<Lake>>()?);
        let rows = paging::first_rows(first)?;
        let measure: Arc<str> = measure.as_deref().unwrap_or(PRICE).into();
        let pushed = minutes(&lake).then(move |minute| {
            places(
                Arc::clone(&lake),
                Arc::clone(&measure),
                statistic,
                rows,
                minute,
            )
        });
        let changes = pushed.scan(Vec::new(), |before: &mut Vec<(String, i64)>, pushed| {
            let pushed = pushed.map(|pushed| changed(before, pushed));
            async move { Some(pushed.transpose()) }
        });
        Ok(changes.filter_map(|pushed| async { pushed }))
    }

    /// The jumps at each committed minute that has any.
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "100 + 10 * child_complexity"
    )]
    async fn jumps(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "A metric, a list separated by commas, or a pattern: *usdt. All metrics by \
                default."
        )]
        metric: Option<String>,
        #[graphql(desc = "Rule by which a sample is a jump.", default)] rule: JumpRuleInput,
    ) -> Result<impl Stream<Item = Result<SlotJumps>> + use<>> {
        let lake = Arc::clone(context.data::<Arc<Lake>>()?);
        let pattern: Pattern = metric.as_deref().unwrap_or("*").parse().map_err(
            |error: marketlake_model::ParsePatternError| {
                errors::bad_argument("metric", &error.to_string())
            },
        )?;
        let pattern = Arc::new(pattern);
        let rule = rule.rule()?;
        let pushed = minutes(&lake)
            .then(move |minute| jumps(Arc::clone(&lake), Arc::clone(&pattern), rule, minute));
        Ok(pushed.filter_map(|pushed| async {
            let is_empty = pushed
                .as_ref()
                .is_ok_and(|slot: &SlotJumps| slot.jumps.is_empty());
            (!is_empty).then_some(pushed)
        }))
    }
}

/// Newest minute, and each that is committed after it; of those that come before the next poll the
/// last one.
fn minutes(lake: &Lake) -> impl Stream<Item = Minute> + use<> {
    let mut newest = lake.recent_day().subscribe();
    newest.mark_changed();
    stream::unfold((newest, None), next)
}

async fn next(
    (mut newest, seen): (watch::Receiver<Option<Minute>>, Option<Minute>),
) -> Option<(Minute, (watch::Receiver<Option<Minute>>, Option<Minute>))> {
    loop {
        newest.changed().await.ok()?;
        let minute = *newest.borrow_and_update();
        // Late samples move nothing on.
        if minute > seen
            && let Some(minute) = minute
        {
            return Some((minute, (newest, Some(minute))));
        }
    }
}

async fn samples(lake: Arc<Lake>, metrics: Arc<[Key]>, at: Minute) -> Result<SlotSamples> {
    let only = Span { from: at, to: at };
    let latest = lake.engine().latest(&metrics, only).await;
    let latest = latest.map_err(errors::lake)?;
    let samples = metrics.iter().zip(latest).filter_map(|(metric, point)| {
        Some(MetricSample {
            metric: lake.queries().named_metric(metric.clone()).into(),
            sample: Sample::from(point?),
        })
    });
    Ok(SlotSamples {
        timestamp: at.into(),
        samples: samples.collect(),
    })
}

async fn places(
    lake: Arc<Lake>,
    measure: Arc<str>,
    statistic: Statistic,
    rows: usize,
    at: Minute,
) -> Result<SlotRanking> {
    let ranks = lake
        .queries()
        .rank_all(&lake.engine(), &measure, statistic.into(), Some(at))
        .await;
    let ranks = ranks.map_err(errors::lake)?;
    let places = ranks.iter().flat_map(|ranks| {
        let first = ranks.ranking.ranked().iter().take(rows);
        first.map(|standing| Rank::new(lake.queries().named_rank(ranks, standing), None))
    });
    Ok(SlotRanking {
        timestamp: at.into(),
        places: places.collect(),
        changed: Vec::new(),
    })
}

/// Fills in the ids whose places changed; `None` if the ranking is the same as before.
fn changed(before: &mut Vec<(String, i64)>, mut pushed: SlotRanking) -> Option<SlotRanking> {
    let now: Vec<(String, i64)> = pushed.places.iter().filter_map(Rank::stands).collect();
    let known: HashSet<&(String, i64)> = before.iter().collect();
    let new = now.iter().filter(|place| !known.contains(place));
    pushed.changed = new.map(|(id, _)| id.clone()).collect();
    let is_same = *before == now;
    *before = now;
    (!is_same).then_some(pushed)
}

async fn jumps(
    lake: Arc<Lake>,
    pattern: Arc<Pattern>,
    rule: marketlake_model::JumpRule,
    at: Minute,
) -> Result<SlotJumps> {
    let query = JumpQuery {
        rule,
        span: Span { from: at, to: at },
        metric: None,
    };
    let found: Result<_, LakeError> = lake.engine().jumps(&query).await;
    let found = found.map_err(errors::lake)?.into_iter();
    let wanted = found.filter(|jump| pattern.matches(&jump.metric));
    Ok(SlotJumps {
        timestamp: at.into(),
        jumps: wanted.map(|jump| Jump::of(&lake, jump)).collect(),
    })
}
