//! Flags and session that the querying commands share.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use marketlake_common::excerpt;
use marketlake_lake::{Lake, QueryEngine, Span};
use marketlake_model::{Jump, Metric, Minute, parse_time};

use super::Usage;
use crate::config::Settings;
use crate::output::{self, Cell, Format};
use crate::wiring;

/// Alternatives to a short name that a note names; further ones are counted.
const MAX_NAMED_ALTERNATIVES: usize = 10;

/// Query engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// DataFusion over the Parquet files, any period.
    #[default]
    Datafusion,
    /// Memory, the last 24 hours.
    Memory,
    /// Athena, any period; needs `athena.workgroups`.
    Athena,
}

/// Flags of the querying commands.
#[derive(Args)]
pub(super) struct QueryArgs {
    /// Query engine.
    #[arg(long, value_enum, default_value_t)]
    engine: Engine,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// An open lake with the engine that answers.
pub(super) struct QuerySession {
    pub(super) lake: Arc<Lake>,
    pub(super) engine: Box<dyn QueryEngine>,
}

impl QueryArgs {
    /// DataFusion over the files.
    pub(super) fn datafusion() -> Self {
        Self {
            engine: Engine::Datafusion,
            format: Format::default(),
        }
    }

    pub(super) async fn open(&self, settings: &Settings) -> anyhow::Result<QuerySession> {
        let lake = wiring::lake::open_to_read(settings).await?;
        let engine: Box<dyn QueryEngine> = match self.engine {
            Engine::Datafusion => Box::new(lake.datafusion()),
            Engine::Memory => {
                lake.queries().follow(0).await?;
                Box::new(lake.engine())
            }
            Engine::Athena => Box::new(lake.athena().ok_or_else(|| {
                Usage("--engine athena: expected athena.workgroups to name a workgroup".to_owned())
            })?),
        };
        Ok(QuerySession { lake, engine })
    }
}

impl Drop for QuerySession {
    /// Prints the cost of Athena's queries.
    #[expect(clippy::print_stderr, reason = "data is on stdout")]
    fn drop(&mut self) {
        let spent = self.lake.athena().map(|athena| athena.query_cost());
        if let Some(spent) = spent.filter(|spent| spent.queries > 0) {
            eprintln!("{spent}");
        }
    }
}

impl QuerySession {
    pub(super) async fn resolve(&self, name: &str) -> anyhow::Result<Metric> {
        let metric = self.lake.resolve(name).await?;
        Ok(metric.ok_or_else(|| {
            Usage(format!(
                "no metric {:?} was ever recorded; `marketlake metrics` lists the known ones",
                excerpt(name)
            ))
        })?)
    }

    /// Resolves a name, and notes on stderr which metric a short name means that several have.
    pub(super) async fn resolve_with_note(&self, name: &str) -> anyhow::Result<Metric> {
        let metric = self.resolve(name).await?;
        let is_id = name.parse::<Metric>().is_ok_and(|named| named == metric);
        let alternatives = self.lake.directory().alternatives(&metric);
        if !is_id && !alternatives.is_empty() {
            output::note(&alternatives_note(&metric, &alternatives));
        }
        Ok(metric)
    }

    /// Span from `from` to `to`; by default the last 24 hours up to the newest minute. `None` if
    /// the lake is empty.
    pub(super) async fn span(
        &self,
        from: Option<&str>,
        to: Option<&str>,
    ) -> anyhow::Result<Option<Span>> {
        let (from, to) = (minute("--from", from)?, minute("--to", to)?);
        let span = self.lake.queries().default_span(from, to).await?;
        let validated = span.map(Span::validate).transpose();
        Ok(validated.map_err(|reason| Usage(format!("--from: {reason}")))?)
    }
}

/// Note on the metric that a short name means, and on those that it might also mean.
fn alternatives_note(metric: &Metric, alternatives: &[Metric]) -> String {
    let named = alternatives.iter().take(MAX_NAMED_ALTERNATIVES);
    let named: Vec<&str> = named.map(Metric::id).collect();
    let more = alternatives.len() - named.len();
    let more = match more {
        0 => String::new(),
        _ => format!(" and {more} more"),
    };
    let (short, named) = (metric.short_name(), named.join(", "));
    format!("{short} is {metric}; also: {named}{more}")
}

/// Parses a time given as a flag to its minute.
pub(super) fn minute(flag: &str, text: Option<&str>) -> Result<Option<Minute>, Usage> {
    text.map(|text| match parse_time(text) {
        Ok(time) => Ok(time.minute()),
        Err(error) => Err(Usage(format!("{flag}: {error}"))),
    })
    .transpose()
}

/// Columns of a table of jumps.
pub(super) const JUMP_COLUMNS: [&str; 5] = ["metric", "timestamp", "value", "mean", "ratio"];

/// Row of a jump in such a table.
pub(super) fn jump_cells(metric: impl ToString, jump: &Jump) -> Vec<Cell> {
    vec![
        Cell::text(metric),
        Cell::text(jump.ts),
        Cell::number(jump.value),
        Cell::number(jump.mean),
        Cell::number(jump.ratio),
    ]
}
