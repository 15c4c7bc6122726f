//! `marketlake check`.

use std::process::ExitCode;

use clap::Args;
use marketlake_lake::CheckOptions;

use crate::config::Settings;
use crate::{app, output};

/// Compares the catalog with the objects.
///
/// Example: marketlake check --deep --repair
#[derive(Args)]
pub(super) struct Check {
    /// Read every row: hashes, order, one row a metric and minute, rollups equal to their rows.
    #[arg(long)]
    deep: bool,
    /// Set aside what is broken, say what was lost, and rebuild what can be rebuilt.
    #[arg(long)]
    repair: bool,
}

impl Check {
    /// Fails where the lake is not whole at the end, or where rows were lost.
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let options = CheckOptions {
            deep: self.deep,
            repair: self.repair,
        };
        let report = app::open_lake(settings).await?.check(options).await?;
        for line in report.problems.iter().chain(&report.repairs) {
            output::line(line)?;
        }
        output::line(&report.to_string())?;
        Ok(if report.is_whole() && report.lost == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
