//! `marketlake rank`.

use clap::Args;
use marketlake_lake::Statistic;
use marketlake_model::PRICE;

use super::question::{Asking, minute};
use crate::config::Settings;
use crate::output::{self, Cell};

/// Shows a metric's place among all of its measure by a statistic over 24 hours, or all places.
///
/// Example: marketlake rank hottry
#[derive(Args)]
pub(super) struct Rank {
    /// Name or id of the metric; all metrics of a measure, if none is given.
    name: Option<String>,
    /// The measure whose metrics are placed, where no name is given.
    #[arg(long, default_value = PRICE)]
    measure: String,
    /// By what they are placed: `stddev`, `relative_stddev`, `mean`, `range`, `change`, `percent_change`, `volume`.
    #[arg(long, default_value_t)]
    statistic: Statistic,
    /// The minute that the answer stands for; the newest, if none is given.
    #[arg(long, value_name = "TS")]
    at: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

impl Rank {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let at = minute("--at", self.at.as_deref())?;
        let asked = self.asking.open(settings).await?;
        let engine = asked.engine.as_ref();
        let ranks = match &self.name {
            Some(name) => {
                let metric = asked.resolve(name).await?;
                vec![asked.lake.rank(engine, metric, self.statistic, at).await?]
            }
            None => {
                let (lake, measure) = (&asked.lake, &self.measure);
                let ranks = lake.rank_all(engine, measure, self.statistic, at).await?;
                let each = ranks.iter().flat_map(|ranks| {
                    let standings = ranks.ranking.ranked().iter();
                    standings.map(|standing| lake.named_rank(ranks, standing))
                });
                each.collect()
            }
        };
        output::note_simulated(ranks.iter().map(|rank| &rank.named.metric));
        let rows: Vec<Vec<Cell>> = ranks.iter().map(row).collect();
        let columns = [
            "metric",
            "id",
            "rank",
            "of",
            "display",
            "statistic",
            "value",
            "from",
            "to",
        ];
        output::print(self.asking.format, &columns, &rows)
    }
}

fn row(rank: &marketlake_lake::MetricRank) -> Vec<Cell> {
    let standing = rank.ranked.as_ref();
    vec![
        Cell::text(&rank.named.name),
        Cell::text(&rank.named.metric),
        standing.map_or(Cell::Null, |standing| Cell::number(standing.rank)),
        Cell::number(rank.of),
        Cell::text(rank.display()),
        Cell::text(rank.statistic),
        standing.map_or(Cell::Null, |standing| Cell::number(standing.value)),
        Cell::text(rank.span.from),
        Cell::text(rank.span.to),
    ]
}
