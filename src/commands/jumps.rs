//! `marketlake jumps`.

use clap::Args;
use marketlake_entities::{Exact, JumpRule};
use marketlake_lake::JumpQuery;

use super::Usage;
use super::question::Asking;
use crate::config::Settings;
use crate::output::{self, Cell};

/// Shows the samples that are strictly above so many times the mean of the time before them.
///
/// Example: marketlake jumps --metric hottry:volume --format json
#[derive(Args)]
pub(super) struct Jumps {
    /// Name or id of one metric; every metric, if none is given.
    #[arg(long, value_name = "M")]
    metric: Option<String>,
    /// The first minute that is judged; 24 hours before the last, if none is given.
    #[arg(long, value_name = "TS")]
    from: Option<String>,
    /// The last minute that is judged; the newest, if none is given.
    #[arg(long, visible_alias = "at", value_name = "TS")]
    to: Option<String>,
    /// How many times the mean.
    #[arg(long, default_value = "3")]
    factor: String,
    /// Length of the time before, in minutes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1440))]
    window: u32,
    /// The fewest samples in that time; three quarters of it, if none is given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1440))]
    min_samples: Option<u32>,
    #[command(flatten)]
    asking: Asking,
}

impl Jumps {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let rule = self.rule()?;
        let asked = self.asking.open(settings).await?;
        let metric = match &self.metric {
            Some(name) => Some(asked.resolve(name).await?),
            None => None,
        };
        let jumps = match asked.span(self.from.as_deref(), self.to.as_deref()).await? {
            Some(span) => {
                asked
                    .engine
                    .jumps(&JumpQuery { rule, span, metric })
                    .await?
            }
            None => Vec::new(),
        };
        output::note_simulated(jumps.iter().map(|jump| &jump.metric));
        let rows: Vec<Vec<Cell>> = jumps
            .into_iter()
            .map(|jump| {
                vec![
                    Cell::text(asked.lake.listed(jump.metric).name),
                    Cell::text(jump.ts),
                    Cell::number(jump.value),
                    Cell::number(jump.mean),
                    Cell::number(jump.ratio),
                ]
            })
            .collect();
        output::print(
            self.asking.format,
            &["metric", "timestamp", "value", "mean", "ratio"],
            &rows,
        )
    }

    fn rule(&self) -> Result<JumpRule, Usage> {
        let factor: Exact = self
            .factor
            .parse()
            .map_err(|error| Usage(format!("--factor: {error}")))?;
        if factor.to_f64() <= 0.0 {
            return Err(Usage(format!(
                "--factor: expected a number above 0, got {factor}"
            )));
        }
        let mut rule = JumpRule::with_window(factor, self.window);
        rule.min_samples = self.min_samples.unwrap_or(rule.min_samples);
        Ok(rule)
    }
}
