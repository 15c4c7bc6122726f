//! What there is.

use std::sync::Arc;

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::{Context, ID, Object, Result, SimpleObject};
use marketlake_lake::{Lake, Listed};

use super::errors;
use super::paging::{self, Place};
use super::scalars::DateTime;

/// One series.
#[derive(SimpleObject, Clone)]
pub(super) struct Metric {
    /// `market:pair`, and `:measure` where it is no price: `binance:hottry`.
    id: ID,
    /// The id without its market where that is enough to find it: `hottry`.
    name: String,
    /// The exchange: `binance`.
    market: String,
    /// What is traded against what: `hottry`.
    pair: String,
    /// What is measured: `price`, `volume`.
    measure: String,
    /// Whether it is made up.
    simulated: bool,
}

impl From<Listed> for Metric {
    fn from(Listed { name, metric }: Listed) -> Self {
        Self {
            id: metric.id().into(),
            name,
            market: metric.market().to_owned(),
            pair: metric.pair().to_owned(),
            measure: metric.measure().to_owned(),
            simulated: metric.is_simulated(),
        }
    }
}

/// The minute of a time given as an argument.
pub(super) fn minute(time: DateTime) -> marketlake_entities::Minute {
    time.0.minute()
}

/// The metric that a name or id stands for, or an error with the code `UNKNOWN_METRIC`.
pub(super) async fn resolve(lake: &Lake, name: &str) -> Result<marketlake_entities::Metric> {
    let metric = lake.resolve(name).await.map_err(errors::lake)?;
    metric.ok_or_else(|| errors::unknown_metric(name))
}

#[derive(Default)]
pub(super) struct MetricsQuery;

#[Object]
impl MetricsQuery {
    /// The metrics that have a sample in the 24 hours up to `at`, by id.
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    #[graphql(complexity = "paging::complexity(first, child_complexity)")]
    async fn metrics(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only ids that hold this text.")] search: Option<String>,
        #[graphql(desc = "Only of this exchange.")] market: Option<String>,
        #[graphql(desc = "Only of this measure: price, volume.")] measure: Option<String>,
        #[graphql(desc = "The minute that the answer stands for; the newest, if none is given.")]
        at: Option<DateTime>,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100, if none is given.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
    ) -> Result<Connection<Place, Metric, EmptyFields, EmptyFields>> {
        let lake = context.data::<Arc<Lake>>()?;
        let (rows, behind) = (paging::rows(first)?, paging::place(after.as_deref())?);
        let listed = lake.listing(at.map(minute)).await.map_err(errors::lake)?;
        let search = search.map(|text| text.to_lowercase());
        let wanted = |Listed { metric, .. }: &&Listed| {
            search
                .as_ref()
                .is_none_or(|text| metric.id().contains(text))
                && market
                    .as_ref()
                    .is_none_or(|market| metric.market() == market)
                && measure
                    .as_ref()
                    .is_none_or(|measure| metric.measure() == measure)
        };
        let listed: Vec<&Listed> = listed.iter().filter(wanted).collect();
        let start = behind.map_or(0, |id| {
            listed.partition_point(|l| l.metric.id() <= id.as_str())
        });
        Ok(paging::page(listed, start, rows, |listed| {
            (listed.metric.id().to_owned(), listed.clone().into())
        }))
    }

    /// One metric by name or id; an error with the code `UNKNOWN_METRIC` where none was ever recorded.
    async fn metric(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Name or id: hottry, binance:hottry.")] name: String,
    ) -> Result<Metric> {
        let lake = context.data::<Arc<Lake>>()?;
        let metric = resolve(lake, &name).await?;
        Ok(lake.listed(metric).into())
    }
}
