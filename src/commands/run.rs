//! `marketlake run`.

use std::process::ExitCode;

use clap::Args;
use marketlake_entities::{database, parse_time};
use marketlake_jobs::{RunOnce, Runner};

use super::Usage;
use crate::config::Settings;
use crate::{app, output, service};

/// Does one slot of one job now, through the slot table: for cron, an event bus, or a test.
///
/// A slot that is done is left as it is. Example: marketlake run ingest-minute --slot 2026-11-24T10:31:00Z
#[derive(Args)]
pub(super) struct Run {
    /// The job: ingest-minute, detect-jumps, deliver-alerts, compact-hourly, compact-daily, vacuum.
    job: String,
    /// The scheduled time that the run stands for, RFC 3339.
    #[arg(long, value_name = "TS")]
    slot: String,
    /// The part of the slot, where feeds are split (`shards`).
    #[arg(long, value_name = "N", default_value_t = 0)]
    shard: i32,
    /// Do it even though it has ended.
    #[arg(long)]
    again: bool,
}

impl Run {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let slot = parse_time(&self.slot).map_err(|error| Usage(format!("--slot: {error}")))?;
        let lake = app::open_lake(settings).await?;
        let now = database::clock(lake.database()).await?;
        if slot > now {
            return Err(Usage(format!("--slot: {slot} lies in the future")).into());
        }
        let stop = app::stop_on_signal();
        let (jobs, _) = service::jobs(settings, &lake, &stop).await?;
        let names: Vec<&str> = jobs.iter().map(|job| job.name()).collect();
        let wanted = || {
            Usage(format!(
                "job: expected one of {}, got {:?}",
                names.join(", "),
                self.job
            ))
        };
        let job = jobs.get(&self.job).ok_or_else(wanted)?;
        let runner = Runner::new(lake.database().clone(), service::worker(), stop);
        let (word, detail, code) = match runner
            .run_once(job.as_ref(), slot, self.shard, self.again)
            .await?
        {
            RunOnce::Done(outcome) => ("done", outcome, ExitCode::SUCCESS),
            RunOnce::AlreadyDone(outcome) => ("already done", outcome, ExitCode::SUCCESS),
            RunOnce::Held => ("held by another worker", String::new(), ExitCode::FAILURE),
            RunOnce::Failed(error) => ("failed", error, ExitCode::FAILURE),
        };
        output::line(format!("{} {slot}: {word} {detail}", self.job).trim_end())?;
        Ok(code)
    }
}
