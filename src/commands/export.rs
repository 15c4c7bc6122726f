//! `marketlake export`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use marketlake_common::private_file;

use super::Usage;
use super::query_args::QueryArgs;
use crate::config::Settings;
use crate::output;

/// Exports samples of metrics, by default of the last 24 hours, to one Parquet file or as a link.
///
/// The file has the lake's columns: metric, ts, unscaled, scale; value = unscaled / 10^scale.
/// Example: marketlake export btcusdt --out btc.parquet
#[derive(Args)]
pub(super) struct Export {
    /// Names or ids of the metrics.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// First minute; by default 24 hours before the last.
    #[arg(long, value_name = "TS")]
    from: Option<String>,
    /// Last minute; by default the newest.
    #[arg(long, visible_alias = "at", value_name = "TS")]
    to: Option<String>,
    /// File to write; an existing one is not overwritten.
    #[arg(long, value_name = "FILE", required_unless_present = "link")]
    out: Option<PathBuf>,
    /// Upload the file to the bucket and print a link by which anyone can download it for a while.
    #[arg(long, conflicts_with = "out")]
    link: bool,
    /// Time for which the link is valid, at most `jobs.vacuum_grace_period`.
    #[arg(long, value_name = "TIME", value_parser = crate::config::times::flag, requires = "link")]
    valid: Option<Duration>,
}

impl Export {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let grace = settings.jobs.vacuum_grace_period.get();
        let valid = self.valid.unwrap_or(grace);
        if valid > grace || valid.is_zero() {
            let (max, got) = (
                humantime::format_duration(grace),
                humantime::format_duration(valid),
            );
            return Err(Usage(format!(
                "--valid: expected a time up to {max} (jobs.vacuum_grace_period), got {got}"
            ))
            .into());
        }
        let session = QueryArgs::datafusion().open(settings).await?;
        let mut metrics = Vec::new();
        for name in &self.names {
            metrics.push(session.resolve(name).await?);
        }
        output::note_simulated(&metrics);
        let span = session
            .span(self.from.as_deref(), self.to.as_deref())
            .await?;
        let span = span.context("the lake is empty")?;
        let file = session.lake.queries().export(&metrics, span).await?;
        let bytes = file.len();
        match self.out {
            Some(path) => {
                let mut open = tokio::fs::OpenOptions::from(private_file::options());
                let opened = open.create_new(true).open(&path).await;
                let mut out =
                    opened.map_err(|error| Usage(format!("--out {}: {error}", path.display())))?;
                tokio::io::AsyncWriteExt::write_all(&mut out, &file).await?;
                out.sync_all().await?;
                output::line(&format!("export: {bytes} bytes in {}", path.display()))
            }
            None => {
                let link = session.lake.queries().link(file, valid).await?;
                let link = link.ok_or_else(|| {
                    Usage(format!(
                        "--link: expected a store at s3://.., got {}",
                        settings.store_url()
                    ))
                })?;
                output::line(&link)
            }
        }
    }
}
