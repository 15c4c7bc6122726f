//! `marketlake timeseries`.

use clap::Args;
use marketlake_lake::{Aggregate, Interval};

use super::question::Asking;
use crate::config::Settings;
use crate::output::{self, Cell};

/// Shows a metric's samples, by default of the newest 24 hours.
///
/// Example: marketlake timeseries hottry --from 2026-11-24T00:00:00Z
#[derive(Args)]
pub(super) struct Timeseries {
    /// Name or id of the metric.
    name: String,
    /// The first minute; 24 hours before the last, if none is given.
    #[arg(long, value_name = "TS")]
    from: Option<String>,
    /// The last minute; the newest, if none is given.
    #[arg(long, visible_alias = "at", value_name = "TS")]
    to: Option<String>,
    /// One value for each interval: whole minutes, like 5m, 1h or 1d.
    #[arg(long, value_name = "TIME")]
    interval: Option<Interval>,
    /// What stands for an interval: avg (if nothing is said), min, max, first, last, sum or count.
    #[arg(long, value_name = "A", requires = "interval")]
    aggregate: Option<Aggregate>,
    #[command(flatten)]
    asking: Asking,
}

impl Timeseries {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let asked = self.asking.open(settings).await?;
        let span = asked.span(self.from.as_deref(), self.to.as_deref()).await?;
        let metric = asked.resolve(&self.name).await?;
        let points = match span {
            Some(span) => {
                let aggregate = self.aggregate.unwrap_or(Aggregate::Avg);
                let gathering = self.interval.map(|interval| (interval, aggregate));
                let engine = asked.engine.as_ref();
                asked.lake.points(engine, &metric, span, gathering).await?
            }
            None => Vec::new(),
        };
        output::note_simulated([&metric]);
        let name = asked.lake.named_metric(metric).name;
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
        output::print(self.asking.format, &["metric", "timestamp", "value"], &rows)
    }
}
