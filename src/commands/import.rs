//! `marketlake import`.

use std::collections::HashSet;
use std::mem;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, SyncSender};

use clap::Args;
use marketlake_entities::database;
use marketlake_feeds::files::{self, FileError, FileOptions};
use marketlake_lake::{ImportSummary, LakeError};
use marketlake_model::{Metric, Sample};
use tokio::task::spawn_blocking;

use super::Usage;
use crate::config::Settings;
use crate::{output, wiring};

/// Samples that go from reading to sorting at once.
const CHUNK: usize = 1 << 20;
/// Chunks that reading may be ahead.
const CHUNKS_AHEAD: usize = 1;

/// Imports history from files: CSV (metric,ts,value) and JSON candles, plain or .gz, and Parquet
/// (metric, ts, value).
///
/// A new value of a metric and minute replaces an old one. Without --keep-going nothing is imported
/// if a line does not parse. Example: marketlake import --market bittrex ethbtc-1m.json.gz
#[derive(Args)]
pub(super) struct Import {
    /// Files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Market of candles, and of metrics that are named by their pair only.
    #[arg(long, value_name = "M")]
    market: Option<String>,
    /// Pair of candles; by default taken from the file's name.
    #[arg(long, value_name = "P")]
    pair: Option<String>,
    /// Report lines that do not parse, and import the rest.
    #[arg(long)]
    keep_going: bool,
}

/// Result of reading a file.
#[derive(Default)]
struct Read {
    refused: u64,
    metrics: HashSet<Metric>,
}

impl Import {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        if self.pair.is_some() && self.files.len() > 1 {
            return Err(Usage("--pair: expected exactly one file".to_owned()).into());
        }
        let lake = wiring::lake::open_to_write(settings).await?;
        let now = database::clock(lake.database()).await?;
        let options = FileOptions {
            market: self.market.clone(),
            pair: self.pair.clone(),
            not_after: Some(now.minute()),
        };
        let files = self.files.len();
        // One thread reads while another sorts; nothing is published before the last line was read.
        let (sender, receiver) = mpsc::sync_channel::<Vec<Sample>>(CHUNKS_AHEAD);
        let reading = spawn_blocking(move || self.read_all(&options, &sender));
        let mut import = lake.importer(now);
        let sorting = spawn_blocking(move || {
            receiver.iter().try_for_each(|chunk| import.push(chunk))?;
            Ok::<_, LakeError>(import)
        });
        let read = reading.await??;
        let imported = sorting.await??.finish().await?;
        let figures = lake.stats().await?;
        output::line(&format!(
            "import: {} samples of {} metrics from {files} files, {} lines refused; {}; the lake \
             holds {} samples in {} segments",
            imported.samples,
            read.metrics.len(),
            read.refused,
            describe(imported),
            figures.samples,
            figures.segments
        ))?;
        Ok(ExitCode::SUCCESS)
    }

    fn read_all(
        &self,
        options: &FileOptions,
        sender: &SyncSender<Vec<Sample>>,
    ) -> Result<Read, FileError> {
        let mut read = Read::default();
        let mut chunk = Vec::with_capacity(CHUNK);
        for path in &self.files {
            for sample in files::read(path, options)? {
                match sample {
                    Ok(sample) => {
                        if chunk
                            .last()
                            .is_none_or(|last: &Sample| last.metric != sample.metric)
                            && !read.metrics.contains(&sample.metric)
                        {
                            read.metrics.insert(sample.metric.clone());
                        }
                        chunk.push(sample);
                        if chunk.len() == CHUNK {
                            let full = mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
                            // The receiver is gone where sorting failed, which reports its own
                            // error.
                            let _ = sender.send(full);
                        }
                    }
                    Err(error @ FileError::Line { .. }) if self.keep_going => {
                        read.refused += 1;
                        tracing::warn!("{error}");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let _ = sender.send(chunk);
        Ok(read)
    }
}

fn describe(imported: ImportSummary) -> String {
    match imported {
        ImportSummary { samples: 0, .. } => "nothing to import: the files have no rows".to_owned(),
        ImportSummary {
            added: 0,
            corrected: 0,
            ..
        } => "nothing new: the lake holds all of it already".to_owned(),
        ImportSummary {
            added, corrected, ..
        } => format!("{added} new, {corrected} corrected"),
    }
}
