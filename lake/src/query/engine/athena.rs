//! Query engine on Athena, over the same files. The manifests of a query's days are published
//! before it runs, so that no answer is older than the query. A day is read as of one commit.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use marketlake_entities::database;
use marketlake_model::{Direction, Exact, Jump, Metric, RollingSum};
use sea_orm::DatabaseConnection;

use super::rule_input::{RuleInput, RuleInputQuery};
use super::{JumpQuery, QueryEngine, lookback_span, measure_suffix, sort_by_time};
use crate::athena::client::{AthenaClient, QueryCost};
use crate::athena::error::AthenaError;
use crate::athena::manifests::Manifests;
use crate::athena::statement::{Statement, Values};
use crate::athena::table::{Cells, Table};
use crate::catalog::segments;
use crate::error::LakeError;
use crate::query::bucket::{Bucket, Interval};
use crate::query::ranking::Ranking;
use crate::query::statistic::{Statistic, Summary, VOLUMES, traded, volumes_of};
use crate::segment::moments::Moments;
use crate::span::{Point, Span};
use crate::storage::store::Store;

const METRICS: &str = include_str!("sql/athena/metrics.sql");
const SERIES: &str = include_str!("sql/athena/series.sql");
const SAMPLES: &str = include_str!("sql/athena/samples.sql");
const LATEST: &str = include_str!("sql/athena/latest.sql");
const SUMMARIES: &str = include_str!("sql/athena/summaries.sql");
const BUCKETS: &str = include_str!("sql/athena/buckets.sql");
const JUMPS: &str = include_str!("sql/athena/jumps.sql");

/// Most metrics that are queried by name; for more, everything is read.
const MAX_NAMED_METRICS: usize = 200;

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct AthenaEngine {
    database: DatabaseConnection,
    manifests: Manifests,
    client: AthenaClient,
}

impl AthenaEngine {
    pub(crate) fn new(database: &DatabaseConnection, store: &Store, client: AthenaClient) -> Self {
        Self {
            database: database.clone(),
            manifests: Manifests::new(database.clone(), store.clone()),
            client,
        }
    }

    /// Clones it over another pool of connections.
    pub(crate) fn with_database(&self, database: &DatabaseConnection) -> Self {
        Self {
            database: database.clone(),
            manifests: self.manifests.with_database(database),
            client: self.client.clone(),
        }
    }

    pub(crate) fn client(&self) -> &AthenaClient {
        &self.client
    }

    /// Cost of the queries so far.
    #[must_use]
    pub fn query_cost(&self) -> QueryCost {
        self.client.query_cost()
    }

    async fn query(&self, sql: &str, values: Values, span: Span) -> Result<Arc<Table>, LakeError> {
        let Some(span) = self.within(span).await? else {
            return Ok(Arc::default());
        };
        self.check_size(span).await?;
        let now = database::clock(&self.database).await?;
        let state = self.manifests.publish_span(span, now).await?;
        let values = values.and(Values::from_span(span));
        let statement = Statement::new(sql, &values).map_err(AthenaError::Unexpected)?;
        Ok(self.client.cached_rows(statement, &state).await?)
    }

    /// Part of a span whose days can have samples: no others are queried.
    async fn within(&self, span: Span) -> Result<Option<Span>, LakeError> {
        let bounds = segments::bounds(&self.database).await?;
        Ok(bounds.and_then(|bounds| {
            let from = span.from.max(bounds.from.day());
            let to = span.to.min(Span::day(bounds.to.day()).to);
            (from <= to).then_some(Span { from, to })
        }))
    }

    async fn check_size(&self, span: Span) -> Result<(), LakeError> {
        let max = self.client.options().max_scanned_bytes;
        if max == 0 {
            return Ok(());
        }
        let days = Span {
            from: span.from.day(),
            to: Span::day(span.to.day()).to,
        };
        let bytes = segments::estimate_bytes(&self.database, days, None).await?;
        if bytes <= max {
            return Ok(());
        }
        Err(AthenaError::TooLarge { bytes, max }.into())
    }

    /// Each metric's samples, by time: of some metrics, or of all.
    async fn points(
        &self,
        metrics: Option<&[Metric]>,
        span: Span,
    ) -> Result<HashMap<Metric, Vec<Point>>, LakeError> {
        let table = match metrics {
            Some([]) => return Ok(HashMap::new()),
            Some(metrics) if metrics.len() <= MAX_NAMED_METRICS => {
                let ids = metrics.iter().map(Metric::id);
                let values = Values::default().texts("metrics", ids);
                self.query(SERIES, values, span).await?
            }
            _ => self.query(SAMPLES, Values::default(), span).await?,
        };
        let mut series: HashMap<Metric, Vec<Point>> = HashMap::new();
        for row in table.rows() {
            let point = row.point()?;
            series.entry(row.metric()?).or_default().push(point);
        }
        Ok(series)
    }

    /// Summarises each metric of some measures.
    async fn summaries(
        &self,
        measures: &[&str],
        span: Span,
    ) -> Result<HashMap<Metric, Summary>, LakeError> {
        let parts = measures.iter().map(|measure| measure_suffix(measure));
        let values = Values::default().texts("measures", parts);
        let table = self.query(SUMMARIES, values, span).await?;
        let summaries = table.rows().map(|row| Ok((row.metric()?, summary(row)?)));
        summaries.collect()
    }
}

#[async_trait]
impl QueryEngine for AthenaEngine {
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError> {
        let table = self.query(METRICS, Values::default(), span).await?;
        let metrics: Result<Vec<Metric>, _> = table.rows().map(Cells::metric).collect();
        let mut metrics = metrics?;
        // Independent of the order that the engine has for text.
        metrics.sort_unstable();
        Ok(metrics)
    }

    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError> {
        let mut series = self
            .points(Some(std::slice::from_ref(metric)), span)
            .await?;
        Ok(series.remove(metric).unwrap_or_default())
    }

    async fn ranking(
        &self,
        measure: &str,
        statistic: Statistic,
        span: Span,
    ) -> Result<Arc<Ranking>, LakeError> {
        let mut measures = vec![measure];
        if statistic == Statistic::Volume {
            measures.extend(VOLUMES);
        }
        let all = self.summaries(&measures, span).await?;
        let matching = all.iter().filter(|(metric, _)| metric.measure() == measure);
        let values = matching.filter_map(|(metric, summary)| {
            let of_pair = || {
                let (day, minute) = volumes_of(metric)?;
                traded(all.get(&day), all.get(&minute))
            };
            Some((metric.clone(), statistic.compute(summary, of_pair)?))
        });
        Ok(Arc::new(Ranking::new(values.collect())))
    }

    async fn series(&self, metrics: &[Metric], span: Span) -> Result<Vec<Vec<Point>>, LakeError> {
        let found = self.points(Some(metrics), span).await?;
        let of = |metric| found.get(metric).cloned().unwrap_or_default();
        Ok(metrics.iter().map(of).collect())
    }

    async fn latest(
        &self,
        metrics: &[Metric],
        span: Span,
    ) -> Result<Vec<Option<Point>>, LakeError> {
        let mut found = HashMap::new();
        for some in metrics.chunks(MAX_NAMED_METRICS) {
            let values = Values::default().texts("metrics", some.iter().map(Metric::id));
            for row in self.query(LATEST, values, span).await?.rows() {
                found.insert(row.metric()?, row.point()?);
            }
        }
        let latest = metrics.iter().map(|metric| found.get(metric).copied());
        Ok(latest.collect())
    }

    async fn buckets(
        &self,
        metric: &Metric,
        span: Span,
        interval: Interval,
    ) -> Result<Vec<Bucket>, LakeError> {
        let values = Values::default()
            .text("metric", metric.id())
            .number("interval", interval.length());
        let table = self.query(BUCKETS, values, span).await?;
        table.rows().map(|row| Ok(bucket(row)?)).collect()
    }

    /// Athena finds what may be a jump; the rule itself decides, in exact integers.
    async fn jumps(&self, query: &JumpQuery) -> Result<Vec<Jump>, LakeError> {
        let rule = &query.rule;
        let factor = exponential(rule.factor);
        let (sign, low, high) = match rule.direction {
            Direction::Up => (1, "1", factor.as_str()),
            Direction::Down => (-1, factor.as_str(), "1"),
        };
        let values = Values::default()
            .number("all_metrics", i64::from(query.metric.is_none()))
            .text("metric", query.metric.as_ref().map_or("", Metric::id))
            .number("window", rule.window)
            .number("first_minute", query.span.from.number())
            .number("last_minute", query.span.to.number())
            .number("least", rule.min_samples)
            .number("sign", sign)
            .text("low", low)
            .text("high", high);
        let table = self.query(JUMPS, values, lookback_span(query)).await?;
        let mut jumps = Vec::new();
        for row in table.rows() {
            let (metric, ts) = (row.metric()?, row.minute("minute")?);
            let before: Result<RollingSum, _> = row.text("before")?.split(' ').map(exact).collect();
            jumps.extend(rule.jump(&metric, ts, row.parse("exact")?, &before?));
        }
        sort_by_time(&mut jumps);
        Ok(jumps)
    }

    async fn rule_inputs(&self, query: &RuleInputQuery) -> Result<Vec<RuleInput>, LakeError> {
        let metrics = query.metrics.as_deref();
        let series = self.points(metrics, query.span()).await?;
        let of = |metric| {
            let points = series.get(metric).map_or(&[][..], Vec::as_slice);
            RuleInput::from_points(metric, query.at, points)
        };
        let mut inputs: Vec<RuleInput> = match metrics {
            Some(metrics) => metrics.iter().map(of).collect(),
            None => series.keys().map(of).collect(),
        };
        inputs.sort_unstable_by(|a, b| a.metric.cmp(&b.metric));
        Ok(inputs)
    }
}

fn summary(row: Cells<'_>) -> Result<Summary, AthenaError> {
    Ok(Summary {
        moments: Moments {
            count: row.parse("n")?,
            mean: row.parse("mean")?,
            m2: row.parse("m2")?,
        },
        min: row.parse("least")?,
        max: row.parse("greatest")?,
        first: row.parse("first_value")?,
        last: row.parse("last_value")?,
    })
}

fn bucket(row: Cells<'_>) -> Result<Bucket, AthenaError> {
    Ok(Bucket {
        start: row.minute("bucket")?,
        count: row.parse("n")?,
        mean: row.parse("mean")?,
        min: row.parse("least")?,
        max: row.parse("greatest")?,
        first: row.parse("first_value")?,
        last: row.parse("last_value")?,
    })
}

fn exact(text: &str) -> Result<Exact, AthenaError> {
    let wrong = |_| AthenaError::Unexpected(format!("a value is {text:?}"));
    text.parse().map_err(wrong)
}

/// A number as text that every engine reads as a float.
fn exponential(value: Exact) -> String {
    format!("{}E{}", value.unscaled(), -i32::from(value.scale()))
}
