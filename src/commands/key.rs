//! `marketlake key`.

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
use crate::{app, operator_key};

const MAX_NAME_CHARS: usize = 100;
/// Ten years; a key for longer than that is one without an end.
const MAX_EXPIRY: Duration = Duration::from_secs(3_653 * 86_400);

/// Rules the API keys with which programs ask.
#[derive(Args)]
pub(super) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Makes a key and shows it, this once: only a hash of it is kept.
    ///
    /// Example: marketlake key create --scopes read,alerts --expires 90d dashboard
    Create {
        /// What it is for, in 1 to 100 characters.
        name: String,
        /// What it may do: read (prices), alerts (subscriptions of its own), metrics (/metrics), admin
        /// (everything).
        #[arg(long, default_value = "read", value_name = "SCOPES")]
        scopes: Scopes,
        /// How long it is good for, up to ten years; for ever, if nothing is said.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// Puts a new operator key in the place of the one in the data folder; running servers refuse
    /// the old one within a second.
    ///
    /// Example: marketlake key rotate-operator
    RotateOperator,
    /// Lists the keys, the newest first; without their secrets, which nobody knows.
    ///
    /// Example: marketlake key list
    List {
        /// How the answer looks.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Revokes a key for ever; running servers refuse it within a second.
    ///
    /// Example: marketlake key revoke a1b2c3d4e5
    Revoke {
        /// The key's id: what stands between ml_ and the next _.
        id: String,
    },
    /// Writes all keys to a file, as hashes: nobody can use a key that it holds, but the database that takes it in accepts
    /// them.
    ///
    /// Example: marketlake key export keys.jsonl
    Export {
        /// Where to; an older file is replaced.
        file: PathBuf,
    },
    /// Takes in what an export wrote. What is there already stays as it is.
    ///
    /// Example: marketlake key import keys.jsonl
    Import {
        /// What an export wrote.
        file: PathBuf,
    },
}

impl Key {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        if let KeyCommand::RotateOperator = self.command {
            let path = operator_key::rotate(settings)?;
            output::line(&format!("a new operator key is in {}", path.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        if let KeyCommand::Create {
            name,
            scopes,
            expires,
        } = &self.command
        {
            check(name, *scopes, *expires)?;
        }
        let database = app::open_database(settings).await?;
        let now = database::clock(&database).await?;
        match self.command {
            KeyCommand::RotateOperator => (),
            KeyCommand::Create {
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
            KeyCommand::List { format } => {
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
            KeyCommand::Export { file } => {
                portable::export(settings, Content::Keys, &file).await?;
            }
            KeyCommand::Import { file } => {
                portable::import(settings, Content::Keys, &file).await?;
            }
            KeyCommand::Revoke { id } => {
                if !api_keys::revoke(&database, &id, now).await? {
                    output::line(&format!(
                        "key: there is no key {:?} that could be revoked",
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
