//! `marketlake timeseries`.

use clap::Args;
use marketlake_lake::{Aggregate, Interval};

use super::query_args::QueryArgs;
use crate::config::Settings;
use crate::output::{self, Cell};

/// Lists samples of a metric, by default of the last 24 hours.
///
/// Example: marketlake timeseries hottry --from 2026-11-24T00:00:00Z
#[derive(Args)]
pub(super) struct Timeseries {
    /// Name or id of the metric.
    name: String,
    /// First minute; by default 24 hours before the last.
    #[arg(long, value_name = "TS")]
    from: Option<String>,
    /// Last minute; by default the newest.
    #[arg(long, visible_alias = "at", value_name = "TS")]
    to: Option<String>,
    /// Downsample to one value per interval of whole minutes, like 5m, 1h or 1d.
    #[arg(long, value_name = "TIME")]
    interval: Option<Interval>,
    /// Aggregate of an interval: avg (default), min, max, first, last, sum or count.
    #[arg(long, value_name = "A", requires = "interval")]
    aggregate: Option<Aggregate>,
    #[command(flatten)]
    query: QueryArgs,
}

impl Timeseries {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let session = self.query.open(settings).await?;
        let span = session
            .span(self.from.as_deref(), self.to.as_deref())
            .await?;
        let metric = session.resolve_with_note(&self.name).await?;
        let points = match span {
            Some(span) => {
                let aggregate = self.aggregate.unwrap_or(Aggregate::Avg);
                let gathering = self.interval.map(|interval| (interval, aggregate));
                let engine = session.engine.as_ref();
                session
                    .lake
                    .queries()
                    .points(engine, &metric, span, gathering)
                    .await?
            }
            None => Vec::new(),
        };
        output::note_simulated([&metric]);
        let name = session.lake.queries().named_metric(metric).name;
        let rows: Vec<Vec<Cell>> = points
            .iter()
            .map(|point| {
                vec![
                    Cell::text(&name),
                    Cell::text(point.ts),
                    Cell::number(point.value),
                ]
            })
            .collect();
        output::print(self.query.format, &["metric", "timestamp", "value"], &rows)
    }
}
