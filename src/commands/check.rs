//! `marketlake check`.

use std::process::ExitCode;

use clap::Args;
use marketlake_lake::CheckOptions;

use crate::config::Settings;
use crate::{output, service, wiring};

/// Checks the catalog against the objects in the store.
///
/// Example: marketlake check --deep --repair
#[derive(Args)]
pub(super) struct Check {
    /// Read every row: verify hashes, order, one row per metric and minute, and rollups.
    #[arg(long)]
    deep: bool,
    /// Set broken segments aside, report lost rows, rebuild what can be rebuilt, and adopt objects
    /// that the catalog lacks.
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
        let lake = wiring::lake::open(settings).await?;
        let adoption = service::mark_ingested(settings);
        let report = lake
            .maintenance()
            .check_adopting(options, &adoption)
            .await?;
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
