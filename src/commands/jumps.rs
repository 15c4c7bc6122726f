//! `marketlake jumps`.

use std::process::ExitCode;

use clap::Args;
use marketlake_alerts::detection::replay::{AlertRecord, replay};
use marketlake_jobs::evaluated_minutes;
use marketlake_lake::JumpQuery;

use super::query_args::{JUMP_COLUMNS, QueryArgs, jump_cells};
use super::rule_args::JumpRuleArgs;
use crate::config::Settings;
use crate::output::{self, Cell};

/// Lists jumps: samples strictly above a multiple of the mean of the preceding window.
///
/// Example: marketlake jumps --metric hottry:volume --format json
#[derive(Args)]
pub(super) struct Jumps {
    /// Name or id of a metric; by default all metrics.
    #[arg(long, value_name = "M")]
    metric: Option<String>,
    /// First minute to evaluate; by default 24 hours before the last.
    #[arg(long, value_name = "TS")]
    from: Option<String>,
    /// Last minute to evaluate; by default the newest.
    #[arg(long, visible_alias = "at", value_name = "TS")]
    to: Option<String>,
    #[command(flatten)]
    rule: JumpRuleArgs,
    /// Evaluate the span again for all subscriptions, with the rules of the time, and compare with
    /// the alerts that were created.
    #[arg(long, conflicts_with_all = [
        "metric", "factor", "window_minutes", "min_samples", "direction",
    ])]
    replay: bool,
    #[command(flatten)]
    query: QueryArgs,
}

impl Jumps {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        if self.replay {
            return self.again(settings).await;
        }
        let rule = self.rule.rule()?;
        let session = self.query.open(settings).await?;
        let metric = match &self.metric {
            Some(name) => Some(session.resolve(name).await?),
            None => None,
        };
        let jumps = match session
            .span(self.from.as_deref(), self.to.as_deref())
            .await?
        {
            Some(span) => {
                session
                    .engine
                    .jumps(&JumpQuery { rule, span, metric })
                    .await?
            }
            None => Vec::new(),
        };
        output::note_simulated(jumps.iter().map(|jump| &jump.metric));
        let rows = jumps.into_iter().map(|jump| {
            jump_cells(
                session
                    .lake
                    .queries()
                    .named_metric(jump.metric.clone())
                    .name,
                &jump,
            )
        });
        output::print(self.query.format, &JUMP_COLUMNS, &rows.collect::<Vec<_>>())?;
        Ok(ExitCode::SUCCESS)
    }

    /// Fails where an alert is not the same again.
    async fn again(&self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let session = self.query.open(settings).await?;
        let span = session
            .span(self.from.as_deref(), self.to.as_deref())
            .await?;
        let Some(span) = span else {
            output::line("replay: nothing has been recorded yet")?;
            return Ok(ExitCode::SUCCESS);
        };
        let minutes = evaluated_minutes(session.lake.database(), span).await?;
        let found = replay(&session.lake, span, &minutes).await?;
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        let mut take = |word: &str, record: &AlertRecord| {
            let mut row = vec![Cell::text(word), Cell::text(&record.subscription_id)];
            row.extend(jump_cells(&record.jump.metric, &record.jump));
            rows.push(row);
        };
        found.same.iter().for_each(|record| take("same", record));
        for (was, is) in &found.other {
            take("was", was);
            take("would be", is);
        }
        found
            .would_have_fired
            .iter()
            .for_each(|record| take("would have fired", record));
        found
            .would_not_have_fired
            .iter()
            .for_each(|record| take("would not have fired", record));
        let columns = [&["verdict", "subscription"][..], &JUMP_COLUMNS].concat();
        output::print(self.query.format, &columns, &rows)?;
        let differences =
            found.other.len() + found.would_have_fired.len() + found.would_not_have_fired.len();
        output::note(&format!(
            "replay: {} minutes evaluated again from {} to {}: {} alerts the same, bit for bit; \
             {} other, {} would have fired, {} would not have fired",
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
}
