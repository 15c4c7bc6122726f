//! `marketlake compact`.

use std::process::ExitCode;
use std::sync::Arc;

use marketlake_entities::database;
use marketlake_jobs::{CompactDaily, CompactHourly, Job, RunOnce, Runner};
use marketlake_model::Minute;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::{output, service, wiring};

pub(super) async fn execute(settings: &Settings) -> anyhow::Result<ExitCode> {
    let lake = wiring::lake::open_to_write(settings).await?;
    let runner = Runner::new(
        lake.database().clone(),
        service::worker(),
        CancellationToken::new(),
    );
    let now = database::clock(lake.database()).await?.minute();
    let hours = lake.hours_to_compact(now).await?;
    let hourly = CompactHourly::new(Arc::clone(&lake));
    let (hours, failed_hours) = merge(&runner, &hourly, hours).await?;
    let days = lake.days_to_compact(now).await?;
    let daily = CompactDaily::new(Arc::clone(&lake));
    let (days, failed_days) = merge(&runner, &daily, days).await?;
    let failed = failed_hours + failed_days;
    let figures = lake.stats().await?;
    output::line(&format!(
        "compact: {hours} hours and {days} days compacted, {failed} failed; {} segments, \
         {} samples, {} bytes",
        figures.segments, figures.samples, figures.bytes
    ))?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Does slots of a job; how many were done, and how many not.
async fn merge(
    runner: &Runner,
    job: &dyn Job,
    slots: Vec<Minute>,
) -> anyhow::Result<(usize, usize)> {
    let (mut done, mut failed) = (0, 0);
    for slot in slots {
        match runner.run_once(job, slot.start(), 0, true).await? {
            RunOnce::Done(_) | RunOnce::AlreadyDone(_) => done += 1,
            RunOnce::Held | RunOnce::Failed(_) => failed += 1,
        }
    }
    Ok((done, failed))
}
