//! What the asking commands share.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use marketlake_common::excerpt;
use marketlake_lake::{Lake, QueryEngine, Span};
use marketlake_model::{Jump, Metric, Minute, parse_time};

use super::Usage;
use crate::app;
use crate::config::Settings;
use crate::output::{Cell, Format};

/// Who answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// The Parquet files, any period.
    #[default]
    Embedded,
    /// The last 24 hours, read into memory first.
    Window,
    /// Athena, any period; `athena.workgroups` must name one.
    Athena,
}

/// How to answer.
#[derive(Args)]
pub(super) struct Asking {
    /// Who answers.
    #[arg(long, value_enum, default_value_t)]
    engine: Engine,
    /// How the answer looks.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// A lake that can be asked.
pub(super) struct Asked {
    pub(super) lake: Arc<Lake>,
    pub(super) engine: Box<dyn QueryEngine>,
}

impl Asking {
    /// From the files.
    pub(super) fn files() -> Self {
        Self {
            engine: Engine::Embedded,
            format: Format::default(),
        }
    }

    pub(super) async fn open(&self, settings: &Settings) -> anyhow::Result<Asked> {
        let lake = app::open_lake(settings).await?;
        let engine: Box<dyn QueryEngine> = match self.engine {
            Engine::Embedded => Box::new(lake.embedded()),
            Engine::Window => {
                lake.follow(0).await?;
                Box::new(lake.engine())
            }
            Engine::Athena => Box::new(lake.athena().ok_or_else(|| {
                Usage("--engine athena: expected athena.workgroups to name a workgroup".to_owned())
            })?),
        };
        Ok(Asked { lake, engine })
    }
}

impl Drop for Asked {
    /// What is paid for by the byte is told.
    #[expect(clippy::print_stderr, reason = "data is on stdout")]
    fn drop(&mut self) {
        let spent = self.lake.athena().map(|athena| athena.spent());
        if let Some(spent) = spent.filter(|spent| spent.queries > 0) {
            eprintln!("{spent}");
        }
    }
}

impl Asked {
    pub(super) async fn resolve(&self, name: &str) -> anyhow::Result<Metric> {
        let metric = self.lake.resolve(name).await?;
        Ok(metric.ok_or_else(|| {
            Usage(format!(
                "no metric {:?} was ever recorded; `marketlake metrics` lists those there are",
                excerpt(name)
            ))
        })?)
    }

    /// `from` to `to`; without `from` 24 hours, without `to` up to the newest minute. `None` where the lake is empty.
    pub(super) async fn span(
        &self,
        from: Option<&str>,
        to: Option<&str>,
    ) -> anyhow::Result<Option<Span>> {
        let (from, to) = (minute("--from", from)?, minute("--to", to)?);
        let span = self.lake.span(from, to).await?;
        let forwards = span.map(Span::forwards).transpose();
        Ok(forwards.map_err(|reason| Usage(format!("--from: {reason}")))?)
    }
}

/// The minute in which a time given as a flag lies.
pub(super) fn minute(flag: &str, text: Option<&str>) -> Result<Option<Minute>, Usage> {
    text.map(|text| match parse_time(text) {
        Ok(time) => Ok(time.minute()),
        Err(error) => Err(Usage(format!("{flag}: {error}"))),
    })
    .transpose()
}

/// What a table of jumps shows.
pub(super) const JUMP_COLUMNS: [&str; 5] = ["metric", "timestamp", "value", "mean", "ratio"];

/// A jump in such a table, its metric by whatever it is called there.
pub(super) fn jump_cells(metric: impl ToString, jump: &Jump) -> Vec<Cell> {
    vec![
        Cell::text(metric),
        Cell::text(jump.ts),
        Cell::number(jump.value),
        Cell::number(jump.mean),
        Cell::number(jump.ratio),
    ]
}
