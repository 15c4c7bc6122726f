//! `marketlake check`.

use std::process::ExitCode;

use clap::Args;
use marketlake_lake::CheckOptions;

use crate::config::Settings;
use crate::{app, output, service};

/// Compares the catalog with the objects.
///
/// Example: marketlake check --deep --repair
#[derive(Args)]
pub(super) struct Check {
    /// Read every row: hashes, order, one row a metric and minute, rollups equal to their rows.
    #[arg(long)]
    deep: bool,
    /// Set aside what is broken, say what was lost, and rebuild what can be rebuilt; adopt objects that the catalog lacks.
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
        let lake = app::open_lake(settings).await?;
        let adoption = service::mark_ingested(settings);
        let report = lake.check_adopting(options, &adoption).await?;
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
