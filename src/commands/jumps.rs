//! `marketlake jumps`.

use std::process::ExitCode;

use clap::Args;
use marketlake_alerts::detection::replay::{AlertRecord, replay};
use marketlake_jobs::judged;
use marketlake_lake::JumpQuery;
use marketlake_model::{Exact, JumpRule};

use super::Usage;
use super::question::{Asking, JUMP_COLUMNS, jump_cells};
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
    /// Which way: up, or down.
    #[arg(long, default_value = "up")]
    direction: String,
    /// Judge the time again for every subscription, by the rules of then, and compare with the alerts that were made.
    #[arg(long, conflicts_with_all = ["metric", "factor", "window", "min_samples", "direction"])]
    replay: bool,
    #[command(flatten)]
    asking: Asking,
}

impl Jumps {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        if self.replay {
            return self.again(settings).await;
        }
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
        let rows = jumps
            .into_iter()
            .map(|jump| jump_cells(asked.lake.named_metric(jump.metric.clone()).name, &jump));
        output::print(self.asking.format, &JUMP_COLUMNS, &rows.collect::<Vec<_>>())?;
        Ok(ExitCode::SUCCESS)
    }

    /// Fails where an alert is not the same again.
    async fn again(&self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let asked = self.asking.open(settings).await?;
        let span = asked.span(self.from.as_deref(), self.to.as_deref()).await?;
        let Some(span) = span else {
            output::line("replay: nothing has been recorded yet")?;
            return Ok(ExitCode::SUCCESS);
        };
        let minutes = judged(asked.lake.database(), span).await?;
        let found = replay(&asked.lake, span, &minutes).await?;
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        let mut take = |word: &str, said: &AlertRecord| {
            let mut row = vec![Cell::text(word), Cell::text(&said.subscription_id)];
            row.extend(jump_cells(&said.jump.metric, &said.jump));
            rows.push(row);
        };
        found.same.iter().for_each(|said| take("same", said));
        for (was, is) in &found.other {
            take("was", was);
            take("would be", is);
        }
        found
            .would_have_fired
            .iter()
            .for_each(|said| take("would have fired", said));
        found
            .would_not_have_fired
            .iter()
            .for_each(|said| take("would not have fired", said));
        let columns = [&["verdict", "subscription"][..], &JUMP_COLUMNS].concat();
        output::print(self.asking.format, &columns, &rows)?;
        let differences =
            found.other.len() + found.would_have_fired.len() + found.would_not_have_fired.len();
        output::note(&format!(
            "replay: {} minutes judged again from {} to {}: {} alerts the same, bit for bit; {} other, {} would have fired, {} would not have fired",
            minutes.range(span.from..=span.to).count(),
            span.from,
            span.to,
            found.same.len(),
            found.other.len(),
            found.would_have_fired.len(),
            found.would_not_have_fired.len(),
        ));
        Ok(ExitCode::from(u8::from(differences > 0)))
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
        let direction = self.direction.parse();
        rule.direction = direction.map_err(|error| Usage(format!("--direction: {error}")))?;
        Ok(rule)
    }
}
