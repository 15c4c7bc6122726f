//! `marketlake config`.

use clap::Args;

use crate::config::{self, Loaded};
use crate::output::{self, Cell, Format};

/// Prints every setting with its value and its source.
///
/// Example: marketlake config
#[derive(Args)]
pub(super) struct Config {
    /// Print the reference of all settings in Markdown instead, as docs/configuration.md.
    #[arg(long)]
    reference: bool,
}

pub(super) fn execute(command: &Config, loaded: &Loaded) -> anyhow::Result<()> {
    if command.reference {
        return output::line(config::reference()?.trim_end());
    }
    let effective = loaded.effective()?;
    let rows: Vec<Vec<Cell>> = effective
        .into_iter()
        .map(|setting| {
            vec![
                Cell::Text(setting.name),
                Cell::Text(setting.value),
                Cell::Text(setting.source),
            ]
        })
        .collect();
    output::print(Format::Table, &["setting", "value", "source"], &rows)
}
