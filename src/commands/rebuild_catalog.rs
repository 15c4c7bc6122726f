//! `marketlake rebuild-catalog`.

use std::process::ExitCode;

use clap::Args;

use crate::config::Settings;
use crate::{app, output, service};

/// Rebuilds a catalog that was lost or is outdated, from the objects in the store.
///
/// Adopts every object that holds rows which the catalog lacks, after its checksums are verified;
/// where objects overlap, the value that was written last wins. Nothing is deleted: what is
/// redundant is retired, for vacuum. May be killed and run again. No other process should write to
/// this lake meanwhile.
///
/// Example: marketlake rebuild-catalog
#[derive(Args)]
pub(super) struct RebuildCatalog {}

impl RebuildCatalog {
    /// Fails where rows were lost.
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let lake = app::open_lake(settings).await?;
        let adoption = service::mark_ingested(settings);
        let rebuilt = lake.rebuild_catalog(&adoption).await?;
        for note in &rebuilt.notes {
            output::line(note)?;
        }
        let figures = lake.stats().await?;
        output::line(&format!(
            "rebuild-catalog: {rebuilt}; now {} segments, {} rows, {} metrics",
            figures.segments, figures.samples, figures.metrics
        ))?;
        Ok(if rebuilt.lost == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
