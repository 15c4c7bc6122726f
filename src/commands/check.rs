//! `marketlake check`.

use std::process::ExitCode;

use crate::config::Settings;
use crate::{app, output};

pub(super) async fn execute(settings: &Settings) -> anyhow::Result<ExitCode> {
    let report = app::open_lake(settings).await?.check().await?;
    for problem in &report.problems {
        output::line(problem)?;
    }
    output::line(&report.to_string())?;
    Ok(if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
