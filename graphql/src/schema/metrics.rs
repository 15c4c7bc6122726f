//! Metrics.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, Object, Result, SimpleObject};
use marketlake_http::auth::scope::Scope;
use marketlake_lake::{Lake, NamedMetric, QueryEngine, Statistic as ByStatistic};
use marketlake_model::{Metric as Key, Minute, canonical_name};

use super::errors;
use super::guard::RequireScope;
use super::jumps::{self, Jump};
use super::loaders::Loaders;
use super::paging::{self, CursorPosition, Page, PageArgs, Paging};
use super::ranking::{Rank, Statistic};
use super::rule_input::JumpRuleInput;
use super::scalars::DateTime;
use super::timeseries::{AggregateName, Sample, Timeseries, TimeseriesArgs, TransformInput};

const MAX_NAMES: usize = 1_000;

/// Metric: one time series.
#[derive(SimpleObject, Clone)]
#[graphql(complex)]
pub(super) struct Metric {
    /// Id: `market:pair`, and `:measure` where it is no price: `binance:hottry`.
    pub(super) id: ID,
    /// Short name: the id without its market where that is unambiguous: `hottry`.
    name: String,
    /// The exchange: `binance`.
    market: String,
    /// Traded pair, as the exchange writes it: `hottry`.
    pair: String,
    /// Measured quantity: `price`, in the pair's quote currency; `volume`, in its base currency.
    measure: String,
    /// Whether it is simulated.
    simulated: bool,
    #[graphql(skip)]
    key: Key,
    /// The minute that its answers stand for, where it is not the newest.
    #[graphql(skip)]
    at: Option<Minute>,
}

impl Metric {
    /// A metric whose answers stand for a minute; default the newest.
    pub(super) fn new(NamedMetric { name, metric }: NamedMetric, at: Option<Minute>) -> Self {
        Self {
            id: metric.id().into(),
            name,
            market: metric.market().to_owned(),
            pair: metric.pair().to_owned(),
            measure: metric.measure().to_owned(),
            simulated: metric.is_simulated(),
            key: metric,
            at,
        }
    }
}

impl Metric {
    pub(super) fn key(&self) -> &Key {
        &self.key
    }
}

impl From<NamedMetric> for Metric {
    fn from(listed: NamedMetric) -> Self {
        Self::new(listed, None)
    }
}

#[ComplexObject]
impl Metric {
    /// Ids of the other metrics with the same short name, in order: those that the pair alone might
    /// also mean.
    #[expect(clippy::unused_async, reason = "resolvers are async")]
    #[graphql(complexity = "5")]
    async fn alternatives(&self, context: &Context<'_>) -> Result<Vec<ID>> {
        let lake = context.data::<Arc<Lake>>()?;
        let others = lake.directory().alternatives(&self.key);
        Ok(others.iter().map(|other| other.id().into()).collect())
    }

    /// Its latest sample in the 24 hours; null where it has none.
    async fn latest(&self, context: &Context<'_>) -> Result<Option<Sample>> {
        let loaders = context.data::<Loaders>()?;
        let latest = loaders.latest.load_one((self.key.clone(), self.at)).await;
        Ok(latest.map_err(errors::loading)?.map(Sample::from))
    }

    /// Its rank among all metrics of its measure over the 24 hours.
    async fn rank(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Statistic by which metrics are ranked.", default)] statistic: Statistic,
    ) -> Result<Rank> {
        let statistic = ByStatistic::from(statistic);
        let key = (self.key.clone(), statistic, self.at);
        let loaders = context.data::<Loaders>()?;
        match loaders.ranks.load_one(key).await.map_err(errors::loading)? {
            Some(rank) => Ok(Rank::new(rank, self.at)),
            None => {
                let lake = context.data::<Arc<Lake>>()?;
                let engine = lake.engine();
                let rank = lake
                    .queries()
                    .rank(&engine, self.key.clone(), statistic, self.at)
                    .await;
                Ok(Rank::new(rank.map_err(errors::lake)?, self.at))
            }
        }
    }

    /// Its samples.
    #[graphql(complexity = "20 + child_complexity")]
    async fn timeseries(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "First minute; 24 hours before the last by default.")] from: Option<
            DateTime,
        >,
        #[graphql(desc = "Last minute; the newest by default.")] to: Option<DateTime>,
        #[graphql(desc = "One value for each: 5m, 1h, 1d. Every sample by default.")]
        interval: Option<String>,
        #[graphql(desc = "Aggregate function of an interval; the mean by default.")]
        aggregate: Option<AggregateName>,
        #[graphql(desc = "Transforms of the values, applied in order.")] transforms: Option<
            Vec<TransformInput>,
        >,
    ) -> Result<Timeseries> {
        let to = to.or_else(|| self.at.map(DateTime::from));
        let arguments = TimeseriesArgs::new(from, to, interval.as_deref(), aggregate, transforms)?;
        arguments.of_metric(context, &self.key).await
    }

    /// Jumps of the metric, by time.
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    #[graphql(complexity = "100 + paging::complexity(first.or(last), child_complexity)")]
    async fn jumps(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Rule by which a sample is a jump.", default)] rule: JumpRuleInput,
        #[graphql(desc = "First minute; 24 hours before the last by default.")] from: Option<
            DateTime,
        >,
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
        let to = to.or_else(|| self.at.map(DateTime::from));
        jumps::page(context, Some(self.key.clone()), &rule, from, to, &paging).await
    }
}

/// Sort order of metrics.
#[derive(Enum, Clone, Copy, Default, PartialEq, Eq)]
enum MetricOrder {
    /// Sorts by id, from a to z.
    #[default]
    Id,
    /// Sorts by name, from a to z.
    Name,
    /// Sorts by rank by standard deviation within the measure, unranked metrics last; prices come
    /// before other measures.
    Rank,
}

/// The minute of a time given as an argument.
pub(super) fn minute(time: DateTime) -> Minute {
    time.0.minute()
}

/// The metric that a name or id stands for, or an error with the code `UNKNOWN_METRIC`.
pub(super) async fn resolve(lake: &Lake, name: &str) -> Result<Key> {
    let metric = lake.resolve(name).await.map_err(errors::lake)?;
    metric.ok_or_else(|| errors::unknown_metric(name))
}

/// Metrics that names stand for, up to a maximum.
pub(super) async fn resolve_all(lake: &Lake, names: &[String], max: usize) -> Result<Vec<Key>> {
    if names.is_empty() || names.len() > max {
        let problem = format!("expected 1 to {max} names, got {}", names.len());
        return Err(errors::bad_argument("metrics", &problem));
    }
    let mut metrics = Vec::with_capacity(names.len());
    for name in names {
        metrics.push(resolve(lake, name).await?);
    }
    Ok(metrics)
}

/// The latest sample of a metric.
#[derive(SimpleObject)]
struct Latest {
    /// The metric.
    metric: Metric,
    /// Its latest sample in the 24 hours; null where it has none.
    sample: Option<Sample>,
}

#[derive(Default)]
pub(super) struct MetricsQuery;

#[Object]
impl MetricsQuery {
    /// The metrics that have a sample in the 24 hours up to `at`.
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "paging::complexity(first.or(last), child_complexity)"
    )]
    async fn metrics(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only metrics whose id contains this text, ignoring case: hot.")]
        search: Option<String>,
        #[graphql(desc = "Only metrics of this exchange: binance.")] market: Option<String>,
        #[graphql(desc = "Only metrics of this measure: price, volume.")] measure: Option<String>,
        #[graphql(desc = "Sort order.", default)] order_by: MetricOrder,
        #[graphql(desc = "Minute of the answer; the newest by default.")] at: Option<DateTime>,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100 by default.")] first: Option<i32>,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Cursor before which the page ends.")] before: Option<String>,
    ) -> Result<Page<Metric>> {
        let lake = context.data::<Arc<Lake>>()?;
        let paging = Paging::new(&PageArgs {
            first,
            after,
            last,
            before,
        })?;
        let at = at.map(minute);
        let listed = lake
            .queries()
            .list_metrics_cached(at)
            .await
            .map_err(errors::lake)?;
        let search = search.map(|text| canonical_name(&text));
        let wanted = |NamedMetric { metric, .. }: &&NamedMetric| {
            let holds = |text: &String| metric.id().contains(text);
            search.as_ref().is_none_or(holds)
                && market.as_ref().is_none_or(|own| own == metric.market())
                && measure.as_ref().is_none_or(|own| own == metric.measure())
        };
        let mut listed: Vec<&NamedMetric> = listed.iter().filter(wanted).collect();
        order(lake, &mut listed, order_by, at).await?;
        let position = |id: &str| match order_by {
            MetricOrder::Id => {
                let at = listed.partition_point(|l| l.metric.id() < id);
                let behind = listed.partition_point(|l| l.metric.id() <= id);
                Some(CursorPosition { at, behind })
            }
            _ => {
                let at = listed.iter().position(|l| l.metric.id() == id);
                at.map(CursorPosition::of)
            }
        };
        paging.page(&listed, position, |listed| {
            let metric = Metric::new((*listed).clone(), at);
            (listed.metric.id().to_owned(), metric)
        })
    }

    /// One metric by name or id; an error with the code `UNKNOWN_METRIC` where none was ever
    /// recorded.
    #[graphql(guard = "RequireScope(Scope::Read)")]
    async fn metric(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Name or id: hottry, binance:hottry.")] name: String,
    ) -> Result<Metric> {
        let lake = context.data::<Arc<Lake>>()?;
        let metric = resolve(lake, &name).await?;
        Ok(lake.queries().named_metric(metric).into())
    }

    /// The latest values of some metrics, in their order.
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "metrics.len() * child_complexity"
    )]
    async fn latest(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Names or ids, 1 to 1,000 of them.")] metrics: Vec<String>,
        #[graphql(desc = "Minute of the answer; the newest by default.")] at: Option<DateTime>,
    ) -> Result<Vec<Latest>> {
        let lake = context.data::<Arc<Lake>>()?;
        let at = at.map(minute);
        let metrics = resolve_all(lake, &metrics, MAX_NAMES).await?;
        let Some(day) = lake.queries().last_24h(at).await.map_err(errors::lake)? else {
            return Ok(Vec::new());
        };
        let latest = lake.engine().latest(&metrics, day).await;
        let latest = latest.map_err(errors::lake)?;
        let latest = metrics
            .into_iter()
            .zip(latest)
            .map(|(metric, point)| Latest {
                metric: Metric::new(lake.queries().named_metric(metric), at),
                sample: point.map(Sample::from),
            });
        Ok(latest.collect())
    }
}

async fn order(
    lake: &Lake,
    listed: &mut Vec<&NamedMetric>,
    by: MetricOrder,
    at: Option<Minute>,
) -> Result<()> {
    match by {
        // They come by id.
        MetricOrder::Id => (),
        MetricOrder::Name => listed.sort_by(|a, b| {
            let by_id = || a.metric.cmp(&b.metric);
            a.name.cmp(&b.name).then_with(by_id)
        }),
        MetricOrder::Rank => {
            let mut measures: Vec<&str> = listed.iter().map(|l| l.metric.measure()).collect();
            measures.sort_unstable();
            measures.dedup();
            let mut places = std::collections::HashMap::new();
            for measure in measures {
                let statistic = ByStatistic::Stddev;
                let ranks = lake
                    .queries()
                    .rank_all(&lake.engine(), measure, statistic, at)
                    .await;
                if let Some(ranks) = ranks.map_err(errors::lake)? {
                    places.insert(measure.to_owned(), ranks.ranking);
                }
            }
            listed.sort_by_cached_key(|l| {
                let ranking = places.get(l.metric.measure());
                let position = ranking.and_then(|ranking| ranking.index_of(&l.metric));
                let is_no_price = l.metric.measure() != marketlake_model::PRICE;
                let place = position.unwrap_or(usize::MAX);
                (
                    is_no_price,
                    l.metric.measure().to_owned(),
                    place,
                    l.metric.clone(),
                )
            });
        }
    }
    Ok(())
}
