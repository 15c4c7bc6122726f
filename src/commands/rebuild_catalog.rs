//! `marketlake rebuild-catalog`.

use std::process::ExitCode;

use clap::Args;

use crate::config::Settings;
use crate::{output, service, wiring};

/// Rebuilds a lost or outdated catalog from the objects in the store.
///
/// Adopts every object with rows that the catalog lacks, after verifying its checksums. If objects
/// overlap, the value that was written last wins. Deletes nothing: redundant objects are retired,
/// for vacuum. May be killed and run again. No other process should write to the lake meanwhile.
///
/// Example: marketlake rebuild-catalog
#[derive(Args)]
pub(super) struct RebuildCatalog {}

impl RebuildCatalog {
    /// Fails where rows were lost.
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let lake = wiring::lake::open(settings).await?;
        let adoption = service::mark_ingested(settings);
        let rebuilt = lake.maintenance().rebuild_catalog(&adoption).await?;
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
