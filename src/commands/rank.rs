//! `marketlake rank`.

use clap::Args;
use marketlake_common::one_of;
use marketlake_lake::Statistic;
use marketlake_model::PRICE;

use super::query_args::{QueryArgs, minute};
use crate::config::Settings;
use crate::output::{self, Cell};

/// Ranks metrics by a statistic over the last 24 hours, among all of the same measure.
///
/// Example: marketlake rank hottry
#[derive(Args)]
pub(super) struct Rank {
    /// Name or id of a metric; by default all metrics of a measure.
    name: Option<String>,
    /// Measure to rank, if no metric is given.
    #[arg(long, default_value = PRICE)]
    measure: String,
    #[arg(long, default_value_t, help = format!("Statistic: {}.", statistics()))]
    statistic: Statistic,
    /// Minute of the result; by default the newest.
    #[arg(long, value_name = "TS")]
    at: Option<String>,
    #[command(flatten)]
    query: QueryArgs,
}

impl Rank {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let at = minute("--at", self.at.as_deref())?;
        let session = self.query.open(settings).await?;
        let engine = session.engine.as_ref();
        let ranks = match &self.name {
            Some(name) => {
                let metric = session.resolve_with_note(name).await?;
                vec![
                    session
                        .lake
                        .queries()
                        .rank(engine, metric, self.statistic, at)
                        .await?,
                ]
            }
            None => {
                let (lake, measure) = (&session.lake, &self.measure);
                let ranks = lake
                    .queries()
                    .rank_all(engine, measure, self.statistic, at)
                    .await?;
                let each = ranks.iter().flat_map(|ranks| {
                    let standings = ranks.ranking.ranked().iter();
                    standings.map(|standing| lake.queries().named_rank(ranks, standing))
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
        output::print(self.query.format, &columns, &rows)
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

/// Names of all statistics.
fn statistics() -> String {
    one_of(&Statistic::names())
}
