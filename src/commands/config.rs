//! `marketlake config`.

use crate::config::Loaded;
use crate::output::{self, Cell, Format};

pub(super) fn execute(loaded: &Loaded) -> anyhow::Result<()> {
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
