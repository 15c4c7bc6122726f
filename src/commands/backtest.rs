//! `marketlake backtest`.

use clap::Args;
use clap::builder::RangedI64ValueParser;
use marketlake_alerts::{Backtest as Found, MAX_BACKTEST_DAYS, try_out};

use super::query_args::{JUMP_COLUMNS, jump_cells, minute};
use super::rule_args::{RuleArgs, usage};
use crate::config::Settings;
use crate::output::{self, Format};
use crate::wiring;

/// Shows what a subscription would have sent over the last days.
///
/// Example: marketlake backtest --metric hottry:volume --factor 3 --days 90
#[derive(Args)]
pub(super) struct Backtest {
    #[command(flatten)]
    rule: RuleArgs,
    /// Number of days.
    #[arg(long, default_value_t = 90, value_parser = days())]
    days: u32,
    /// Last minute to evaluate; by default the newest.
    #[arg(long, value_name = "TS")]
    at: Option<String>,
    /// Output format of the alerts.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Parser of the number of days.
fn days() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MAX_BACKTEST_DAYS))
}

impl Backtest {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let at = minute("--at", self.at.as_deref())?;
        let new = self.rule.into_spec()?;
        // Invalid input is reported before anything is opened.
        new.check_rule().map_err(usage)?;
        let lake = wiring::lake::open_to_read(settings).await?;
        let max = settings.alerts.max_metrics;
        let found = try_out(&lake, &new, self.days, at, max).await?;
        let Some(found) = found.map_err(usage)? else {
            output::note("backtest: nothing has been recorded yet");
            return Ok(());
        };
        output::note_simulated(found.alerts.iter().map(|jump| &jump.metric));
        let rows = found
            .alerts
            .iter()
            .map(|jump| jump_cells(&jump.metric, jump));
        output::print(self.format, &JUMP_COLUMNS, &rows.collect::<Vec<_>>())?;
        output::note(&summary(&found));
        if let Some(warning) = found.warning() {
            output::note(&format!("warning: {}", warning.in_words()));
        }
        Ok(())
    }
}

fn summary(found: &Found) -> String {
    let farthest = match &found.farthest {
        Some(jump) => format!(
            "{:.2}x the mean, {} at {}",
            jump.ratio, jump.metric, jump.ts
        ),
        None => "nothing to compare".to_owned(),
    };
    let noisiest = found.days.iter().max_by_key(|(_, mails)| *mails);
    let noisiest = noisiest.filter(|(_, mails)| *mails > 0);
    let noisiest = noisiest.map_or(String::new(), |(day, mails)| {
        format!(", most on {day}: {mails}")
    });
    format!(
        "backtest: {} mails over {} days from {} metrics and {} samples; {} jumps held back; of \
         {} UTC days {} quiet, {} noisy{noisiest}; farthest: {farthest}",
        found.mails,
        found.span_days(),
        found.metrics,
        found.samples,
        found.suppressed,
        found.days.len(),
        found.quiet_days(),
        found.noisy_days(),
    )
}
