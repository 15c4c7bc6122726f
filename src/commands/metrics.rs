//! `marketlake metrics`.

use clap::Args;

use super::question::{Asking, minute};
use crate::config::Settings;
use crate::output::{self, Cell};

/// Lists the metrics that have a sample in the last 24 hours.
///
/// Example: marketlake metrics --format csv
#[derive(Args)]
pub(super) struct Metrics {
    /// The minute that the answer stands for; the newest, if none is given.
    #[arg(long, value_name = "TS")]
    at: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

impl Metrics {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let at = minute("--at", self.at.as_deref())?;
        let asked = self.asking.open(settings).await?;
        let listed = asked.lake.list_metrics(asked.engine.as_ref(), at).await?;
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
            self.asking.format,
            &["metric", "id", "market", "pair", "measure"],
            &rows,
        )
    }
}
