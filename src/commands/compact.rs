//! `marketlake compact`.

use std::process::ExitCode;
use std::sync::Arc;

use marketlake_entities::database;
use marketlake_jobs::{CompactHourly, RunOnce, Runner};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::{app, output, service};

pub(super) async fn execute(settings: &Settings) -> anyhow::Result<ExitCode> {
    let lake = app::open_lake(settings).await?;
    let now = database::clock(lake.database()).await?;
    let job = CompactHourly::new(Arc::clone(&lake));
    let runner = Runner::new(
        lake.database().clone(),
        service::worker(),
        CancellationToken::new(),
    );
    let (mut done, mut not_done) = (0, 0);
    for hour in lake.hours_to_compact(now.minute()).await? {
        match runner.run_once(&job, hour.start(), true).await? {
            RunOnce::Done(_) | RunOnce::AlreadyDone(_) => done += 1,
            RunOnce::Held | RunOnce::Failed(_) => not_done += 1,
        }
    }
    let figures = lake.figures().await?;
    output::line(&format!(
        "compact: {done} hours compacted, {not_done} not; {} segments, {} samples, {} bytes",
        figures.segments, figures.samples, figures.bytes
    ))?;
    Ok(if not_done == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
