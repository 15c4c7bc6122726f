//! `marketlake keys`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use marketlake_common::excerpt;
use marketlake_entities::database;
use marketlake_entities::records::api_keys;
use marketlake_http::auth::key::ApiKey;
use marketlake_http::auth::scope::Scopes;
use marketlake_model::Millis;

use super::Usage;
use super::portable::{self, Content};
use crate::config::Settings;
use crate::output::{self, Cell, Format};
use crate::{operator_key, wiring};

const MAX_NAME_CHARS: usize = 100;
/// Ten years.
const MAX_EXPIRY: Duration = Duration::from_secs(3_653 * 86_400);

/// Manages API keys.
#[derive(Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Creates a key and prints it once: only a hash of it is stored.
    ///
    /// Example: marketlake keys create --scopes read,alerts --expires 90d dashboard
    Create {
        /// Label of 1 to 100 characters.
        name: String,
        /// Scopes, separated by commas: read (prices), alerts (its own subscriptions), metrics
        /// (/metrics), admin (everything).
        #[arg(long, default_value = "read", value_name = "SCOPES")]
        scopes: Scopes,
        /// Time until it expires, up to ten years; never by default.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// Replaces the operator key in the data folder; running servers refuse the old one within a
    /// second.
    ///
    /// Example: marketlake keys rotate-operator
    RotateOperator,
    /// Lists the keys, newest first, without their secrets.
    ///
    /// Example: marketlake keys list
    List {
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Revokes a key for ever; running servers refuse it within a second.
    ///
    /// Example: marketlake keys revoke a1b2c3d4e5
    Revoke {
        /// Id of the key: the part between ml_ and the next _.
        id: String,
    },
    /// Exports all keys to a file, as hashes: the file reveals no key, and a database that imports
    /// it accepts the same keys.
    ///
    /// Example: marketlake keys export keys.jsonl
    Export {
        /// File to write; an existing one is replaced.
        file: PathBuf,
    },
    /// Imports an exported file. Existing keys stay as they are.
    ///
    /// Example: marketlake keys import keys.jsonl
    Import {
        /// Exported file.
        file: PathBuf,
    },
}

impl Keys {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        if let KeysCommand::RotateOperator = self.command {
            let path = operator_key::rotate(settings)?;
            output::line(&format!("a new operator key is in {}", path.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        if let KeysCommand::Create {
            name,
            scopes,
            expires,
        } = &self.command
        {
            check(name, *scopes, *expires)?;
        }
        let database = wiring::database::open(settings).await?;
        let now = database::clock(&database).await?;
        match self.command {
            KeysCommand::RotateOperator => (),
            KeysCommand::Create {
                name,
                scopes,
                expires,
            } => {
                let key = ApiKey::random();
                let expires_at = expires.map(|time| now.plus(time));
                let row = key.row(&name, scopes, expires_at, now);
                api_keys::insert(&database, row).await?;
                output::line(key.reveal())?;
                output::note("this is the only time that it is shown");
            }
            KeysCommand::List { format } => {
                let time = |time: Option<Millis>| time.map_or(Cell::Null, Cell::text);
                let keys = api_keys::all(&database).await?.into_iter();
                let rows: Vec<Vec<Cell>> = keys
                    .map(|key| {
                        vec![
                            Cell::text(key.id),
                            Cell::text(key.name),
                            Cell::text(key.scopes),
                            Cell::text(key.created_at),
                            time(key.expires_at),
                            time(key.last_used_at),
                            time(key.revoked_at),
                        ]
                    })
                    .collect();
                let columns = [
                    "id",
                    "name",
                    "scopes",
                    "created",
                    "expires",
                    "last_used",
                    "revoked",
                ];
                output::print(format, &columns, &rows)?;
            }
            KeysCommand::Export { file } => {
                portable::export(settings, Content::Keys, &file).await?;
            }
            KeysCommand::Import { file } => {
                portable::import(settings, Content::Keys, &file).await?;
            }
            KeysCommand::Revoke { id } => {
                if !api_keys::revoke(&database, &id, now).await? {
                    output::line(&format!(
                        "keys: no key {:?}, or it is revoked already",
                        excerpt(&id)
                    ))?;
                    return Ok(ExitCode::FAILURE);
                }
                output::line(&format!("key {id}: revoked"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn check(name: &str, scopes: Scopes, expires: Option<Duration>) -> Result<(), Usage> {
    let length = name.trim().chars().count();
    if !(1..=MAX_NAME_CHARS).contains(&length) || name.chars().any(char::is_control) {
        let shown = excerpt(name);
        return Err(Usage(format!(
            "NAME: expected 1 to {MAX_NAME_CHARS} characters on one line, got {shown:?}"
        )));
    }
    if scopes == Scopes::NONE {
        return Err(Usage("--scopes: expected one scope or more".to_owned()));
    }
    match expires {
        Some(time) if time.is_zero() || time > MAX_EXPIRY => Err(Usage(format!(
            "--expires: expected more than 0 and at most 10 years, got {}",
            humantime::format_duration(time)
        ))),
        _ => Ok(()),
    }
}
