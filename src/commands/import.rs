//! `marketlake import`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use marketlake_entities::{Sample, database};
use marketlake_feeds::files::{self, FileError, FileOptions};
use marketlake_lake::Lake;

use super::Usage;
use crate::config::Settings;
use crate::{app, output};

/// Samples that are held in memory and written at once.
const CHUNK: usize = 4_000_000;

/// Takes history from files into the lake: CSV (metric,ts,value) and JSON candles, plain or .gz.
///
/// The new value of a metric and minute replaces an old one. Without --keep-going one line that does not parse
/// keeps everything out. Example: marketlake import --market bittrex ethbtc-1m.json.gz
#[derive(Args)]
pub(super) struct Import {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Market of candles, and of metrics that are named by their pair alone.
    #[arg(long, value_name = "M")]
    market: Option<String>,
    /// Pair of candles; else the file's name tells it.
    #[arg(long, value_name = "P")]
    pair: Option<String>,
    /// Name the lines that do not parse, and import the rest.
    #[arg(long)]
    keep_going: bool,
}

/// What was read.
#[derive(Default)]
struct Read {
    samples: u64,
    refused: u64,
    metrics: BTreeSet<String>,
}

impl Import {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        if self.pair.is_some() && self.files.len() > 1 {
            return Err(Usage("--pair: expected one file with it".to_owned()).into());
        }
        let lake = app::open_lake(settings).await?;
        let now = database::clock(lake.database()).await?;
        let options = FileOptions {
            market: self.market.clone(),
            pair: self.pair.clone(),
            not_after: Some(now.minute()),
        };
        let mut read = Read::default();
        let mut chunk = self.read_all(&options, &mut read)?;
        if chunk.len() < CHUNK {
            write(&lake, &mut chunk).await?;
        } else {
            // All lines are known to be good, or wanted without the bad ones: now in pieces.
            drop(chunk);
            self.write_in_chunks(&lake, &options).await?;
        }
        let figures = lake.figures().await?;
        output::line(&format!(
            "import: {} samples of {} metrics from {} files, {} lines refused; the lake holds {} samples in {} segments",
            read.samples,
            read.metrics.len(),
            self.files.len(),
            read.refused,
            figures.samples,
            figures.segments
        ))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Reads everything once; what comes after the first chunk is only looked at.
    fn read_all(&self, options: &FileOptions, read: &mut Read) -> anyhow::Result<Vec<Sample>> {
        let mut chunk = Vec::new();
        for path in &self.files {
            for sample in files::read(path, options)? {
                match sample {
                    Ok(sample) => {
                        read.samples += 1;
                        if !read.metrics.contains(sample.metric.id()) {
                            read.metrics.insert(sample.metric.id().to_owned());
                        }
                        if chunk.len() < CHUNK {
                            chunk.push(sample);
                        }
                    }
                    Err(error @ FileError::Line { .. }) if self.keep_going => {
                        read.refused += 1;
                        tracing::warn!("{error}");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(chunk)
    }

    async fn write_in_chunks(&self, lake: &Arc<Lake>, options: &FileOptions) -> anyhow::Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK);
        for path in &self.files {
            for sample in files::read(path, options)?.flatten() {
                chunk.push(sample);
                if chunk.len() == CHUNK {
                    write(lake, &mut chunk).await?;
                }
            }
        }
        write(lake, &mut chunk).await
    }
}

async fn write(lake: &Arc<Lake>, chunk: &mut Vec<Sample>) -> anyhow::Result<()> {
    if !chunk.is_empty() {
        let now = database::clock(lake.database()).await?;
        lake.import(std::mem::take(chunk), now).await?;
    }
    Ok(())
}
