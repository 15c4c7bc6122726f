//! `marketlake signing-keys`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use marketlake_alerts::Keyring;
use marketlake_common::excerpt;
use marketlake_entities::database;

use crate::config::Settings;
use crate::output::{self, Cell, Format};
use crate::wiring;

/// Manages the keys that sign the links of mails.
#[derive(Args)]
pub(super) struct SigningKeys {
    #[command(subcommand)]
    command: SigningKeysCommand,
}

#[derive(Subcommand)]
enum SigningKeysCommand {
    /// Lists the keys, without their secrets.
    ///
    /// Example: marketlake signing-keys list
    List,
    /// Creates a new key, which signs from now on; links signed by the others stay valid.
    ///
    /// Example: marketlake signing-keys rotate
    Rotate,
    /// Retires a key: all links that it signed are refused from now on.
    ///
    /// Example: marketlake signing-keys retire a1b2c3
    Retire {
        /// Id of the key.
        id: String,
    },
}

impl SigningKeys {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let database = wiring::database::open(settings).await?;
        let now = database::clock(&database).await?;
        let keys = match self.command {
            SigningKeysCommand::List => Keyring::load(&database, now).await?,
            SigningKeysCommand::Rotate => Keyring::rotate(&database, now).await?,
            SigningKeysCommand::Retire { id } => {
                if !Keyring::retire(&database, &id, now).await? {
                    output::line(&format!(
                        "signing-keys: no key {:?}, or it is retired already",
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
