//! `marketlake tokens`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use marketlake_alerts::Keyring;
use marketlake_common::excerpt;
use marketlake_entities::database;

use crate::app;
use crate::config::Settings;
use crate::output::{self, Cell, Format};

/// Rules the keys with which links in mails are signed.
#[derive(Args)]
pub(super) struct Tokens {
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Subcommand)]
enum TokensCommand {
    /// Lists the keys, without their secrets.
    ///
    /// Example: marketlake tokens list
    List,
    /// Makes a new key, which signs from now on; links signed by the others stay good.
    ///
    /// Example: marketlake tokens rotate
    Rotate,
    /// Retires a key: every link that it signed is refused from now on.
    ///
    /// Example: marketlake tokens retire a1b2c3
    Retire {
        /// The key's id.
        id: String,
    },
}

impl Tokens {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let database = app::open_database(settings).await?;
        let now = database::clock(&database).await?;
        let keys = match self.command {
            TokensCommand::List => Keyring::load(&database, now).await?,
            TokensCommand::Rotate => Keyring::rotate(&database, now).await?,
            TokensCommand::Retire { id } => {
                if !Keyring::retire(&database, &id, now).await? {
                    output::line(&format!(
                        "tokens: there is no key {:?} that could be retired",
                        excerpt(&id)
                    ))?;
                    return Ok(ExitCode::FAILURE);
                }
                Keyring::load(&database, now).await?
            }
        };
        let rows: Vec<Vec<Cell>> = keys
            .list()
            .map(|(id, created, retired)| {
                let retired = retired.map_or(Cell::Null, Cell::text);
                vec![Cell::text(id), Cell::text(created), retired]
            })
            .collect();
        output::print(Format::Table, &["key", "created", "retired"], &rows)?;
        Ok(ExitCode::SUCCESS)
    }
}
