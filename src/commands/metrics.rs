//! `marketlake metrics`.

use clap::Args;

use super::query_args::{QueryArgs, minute};
use crate::config::Settings;
use crate::output::{self, Cell};

/// Lists the metrics that have a sample in the last 24 hours.
///
/// Example: marketlake metrics --format csv
#[derive(Args)]
pub(super) struct Metrics {
    /// Minute of the result; by default the newest.
    #[arg(long, value_name = "TS")]
    at: Option<String>,
    #[command(flatten)]
    query: QueryArgs,
}

impl Metrics {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let at = minute("--at", self.at.as_deref())?;
        let session = self.query.open(settings).await?;
        let listed = session
            .lake
            .queries()
            .list_metrics(session.engine.as_ref(), at)
            .await?;
        output::note_simulated(listed.iter().map(|l| &l.metric));
        let rows: Vec<Vec<Cell>> = listed
            .iter()
            .map(|l| {
                let metric = &l.metric;
                [
                    &l.name,
                    metric.id(),
                    metric.market(),
                    metric.pair(),
                    metric.measure(),
                ]
                .map(Cell::text)
                .to_vec()
            })
            .collect();
        output::print(
            self.query.format,
            &["metric", "id", "market", "pair", "measure"],
            &rows,
        )
    }
}
