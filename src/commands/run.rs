//! `marketlake run`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use marketlake_common::{excerpt, one_of};
use marketlake_entities::database;
use marketlake_entities::records::job_runs::JobRunState;
use marketlake_jobs::{IngestMinute, JOB_NAMES, Job, PlanningTime, RunOnce, Runner};
use marketlake_lake::Lake;
use marketlake_model::{Millis, parse_time};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Usage;
use crate::config::Settings;
use crate::feeds::FeedUse;
use crate::{output, service, wiring};

/// Runs one slot of a job now, through the slot table: for cron, an event bus or a test.
///
/// A slot that is done is not run again. A minute that is still running is waited for: it is
/// recorded once it is over. Example: marketlake run ingest-minute --slot 2026-11-24T10:31:00Z
#[derive(Args)]
pub(super) struct Run {
    #[arg(help = format!("Job: {}.", one_of(&JOB_NAMES)))]
    job: String,
    /// Start of the minute, hour or day that the slot stands for, RFC 3339; by default the newest
    /// slot that is due.
    #[arg(long, value_name = "TS")]
    slot: Option<String>,
    /// Shard of the slot, for feeds with shards; by default all.
    #[arg(long, value_name = "N")]
    shard: Option<i32>,
    /// Run a slot again that has ended.
    #[arg(long)]
    again: bool,
}

impl Run {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let slot = self.slot.as_deref().map(parse_time).transpose();
        let slot = slot.map_err(|error| Usage(format!("--slot: {error}")))?;
        let lake = wiring::lake::open(settings).await?;
        let now = database::clock(lake.database()).await?;
        if let Some(slot) = slot.filter(|slot| *slot > now) {
            return Err(Usage(format!("--slot: {slot} is in the future")).into());
        }
        let stop = wiring::shutdown::stop_on_signal()?;
        let usage = match self.job == IngestMinute::NAME {
            true => FeedUse::SingleRun,
            false => FeedUse::Unused,
        };
        let (jobs, _) = service::jobs(settings, &lake, usage, &stop).await?;
        let names: Vec<&str> = jobs.iter().map(|job| job.name()).collect();
        let wanted = || {
            Usage(format!(
                "job: expected one of {}, got {:?}",
                names.join(", "),
                excerpt(&self.job)
            ))
        };
        let job = jobs.get(&self.job).ok_or_else(wanted)?;
        let interval = i64::try_from(job.interval().as_millis()).unwrap_or(i64::MAX);
        if let Some(slot) = slot.filter(|slot| slot.0.rem_euclid(interval) != 0) {
            let unit = match interval {
                1_000 => "a second",
                60_000 => "a minute",
                3_600_000 => "an hour",
                _ => "a day",
            };
            let problem = format!("--slot: expected the start of {unit} (UTC), got {slot}");
            return Err(Usage(problem).into());
        }
        if job.writes_to_store() {
            lake.maintenance().prepare_writes().await?;
        }
        let slot = match slot {
            Some(slot) => Some(Slot::new(slot, self.again)),
            None => newest_due(job.as_ref(), now, self.again).await?,
        };
        let Some(slot) = slot else {
            output::note(&format!("{}: no slot is due", self.job));
            return Ok(ExitCode::SUCCESS);
        };
        let due = job.due(slot.time);
        if due > now {
            output::note(&format!("{} {}: waits until {due}", self.job, slot.time));
            wait_until(due, &lake, &stop).await?;
        }
        let runner = Runner::new(lake.database().clone(), service::worker(), stop);
        let all = || (0..job.shards().max(1)).collect::<Vec<i32>>();
        let shards = self.shard.map_or_else(all, |shard| vec![shard]);
        let mut all_done = true;
        for shard in shards {
            let ran = runner
                .run_once(job.as_ref(), slot.time, shard, slot.again)
                .await?;
            let (word, detail) = match ran {
                RunOnce::Done(outcome) => ("done", outcome),
                RunOnce::AlreadyDone(outcome) => ("already done", outcome),
                RunOnce::Held => {
                    all_done = false;
                    ("held by another worker", String::new())
                }
                RunOnce::Failed(error) => {
                    all_done = false;
                    ("failed", error)
                }
            };
            let line = format!("{} {}: {word} {detail}", self.job, slot.time);
            output::line(line.trim_end())?;
        }
        Ok(if all_done {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// A slot to run.
#[derive(Clone, Copy)]
struct Slot {
    time: Millis,
    /// Whether it is run although it has ended.
    again: bool,
}

impl Slot {
    fn new(time: Millis, again: bool) -> Self {
        Self { time, again }
    }
}

/// Waits until a slot is due, by the database's clock.
async fn wait_until(due: Millis, lake: &Lake, stop: &CancellationToken) -> anyhow::Result<()> {
    let now = database::clock(lake.database()).await?;
    let left = u64::try_from(due.since(now)).unwrap_or(0);
    let waited = stop.run_until_cancelled(sleep(Duration::from_millis(left)));
    if waited.await.is_none() {
        anyhow::bail!("stopped before the slot was due");
    }
    Ok(())
}

/// The newest slot that a job plans by now.
async fn newest_due(job: &dyn Job, now: Millis, again: bool) -> anyhow::Result<Option<Slot>> {
    let minute = now.minute();
    let planned = job.plan(PlanningTime { now, minute }).await?;
    let open = planned.into_iter();
    let open = open.filter(|planned| planned.state == JobRunState::Pending);
    let newest = open.max_by_key(|planned| planned.slot);
    Ok(newest.map(|planned| Slot::new(planned.slot, again || planned.reopen)))
}
