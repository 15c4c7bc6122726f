//! Query of the time series of many metrics.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};
use futures::future::try_join_all;
use marketlake_http::auth::scope::Scope;
use marketlake_lake::Lake;

use super::super::guard::RequireScope;
use super::super::metrics::resolve_all;
use super::super::scalars::DateTime;
use super::{AggregateName, Timeseries, TimeseriesArgs, TransformInput};

const MAX_METRICS: usize = 100;

#[derive(Default)]
pub(in crate::schema) struct TimeseriesQuery;

#[Object]
impl TimeseriesQuery {
    /// The samples of some metrics, from `from` to `to`, both within; by default of the newest 24
    /// hours. With `interval`, one value each, at its start.
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "metrics.len() * (20 + child_complexity)"
    )]
    async fn timeseries(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Names or ids, 1 to 100 of them: hottry, kraken:btcusd:volume.")]
        metrics: Vec<String>,
        #[graphql(desc = "First minute; 24 hours before `to` by default.")] from: Option<DateTime>,
        #[graphql(desc = "Last minute; the newest by default.")] to: Option<DateTime>,
        #[graphql(desc = "Length of an interval: whole minutes up to 366 days, like 5m, 1h, 1d.")]
        interval: Option<String>,
        #[graphql(desc = "Aggregate function of an interval; the mean by default.")]
        aggregate: Option<AggregateName>,
        #[graphql(desc = "Transforms of the values, applied in order.")] transforms: Option<
            Vec<TransformInput>,
        >,
    ) -> Result<Vec<Timeseries>> {
        let lake = context.data::<Arc<Lake>>()?;
        let metrics = resolve_all(lake, &metrics, MAX_METRICS).await?;
        let arguments = TimeseriesArgs::new(from, to, interval.as_deref(), aggregate, transforms)?;
        arguments.check_size(lake, metrics.len()).await?;
        try_join_all(
            metrics
                .iter()
                .map(|metric| arguments.of_metric(context, metric)),
        )
        .await
    }
}
