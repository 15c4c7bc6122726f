//! `marketlake doctor`.

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use marketlake_entities::database;
use marketlake_lake::{Diagnostic, Severity, Store};
use marketlake_model::Millis;

use crate::config::Settings;
use crate::output::{self, Cell, Format};
use crate::{exposed_files, wiring};

/// Difference of the clocks above which leases and slots look wrong to this machine.
const MAX_CLOCK_SKEW_SECONDS: i64 = 30;

/// Diagnoses the database, the store and, if configured, Athena: tries each operation that
/// marketlake needs, and checks settings that cause cost or trouble.
///
/// Fails on errors that keep marketlake from working, not on warnings. Example: marketlake doctor
#[derive(Args)]
pub(super) struct Doctor {
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Doctor {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let mut found = database(settings).await;
        found.push(permissions(settings));
        match Store::open(&settings.store()?).await {
            Ok(store) => {
                found.extend(store.diagnose(machine_clock()).await);
                found.extend(lake(settings, &store, &found).await);
            }
            Err(error) => found.push(Diagnostic::new("store", Severity::Bad, error.to_string())),
        }
        // A lake that cannot be opened was reported already.
        if settings.athena.options().is_some()
            && let Ok(lake) = wiring::lake::open(settings).await
        {
            found.extend(lake.diagnose_athena().await);
        }
        let rows: Vec<Vec<Cell>> = found
            .iter()
            .map(|finding| {
                vec![
                    Cell::text(finding.what),
                    Cell::text(finding.severity),
                    Cell::text(&finding.detail),
                ]
            })
            .collect();
        output::print(self.format, &["check", "health", "detail"], &rows)?;
        let is_ill = found
            .iter()
            .any(|finding| finding.severity == Severity::Bad);
        Ok(if is_ill {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Checks that database and store belong together; an unreachable one was reported already.
async fn lake(settings: &Settings, store: &Store, found: &[Diagnostic]) -> Option<Diagnostic> {
    if found
        .iter()
        .any(|finding| finding.severity == Severity::Bad)
    {
        return None;
    }
    let database = wiring::database::open(settings).await.ok()?;
    Some(marketlake_lake::diagnose_identity(&database, store).await)
}

async fn database(settings: &Settings) -> Vec<Diagnostic> {
    let database = match wiring::database::open(settings).await {
        Ok(database) => database,
        Err(error) => return vec![Diagnostic::new("database", Severity::Bad, helped(&error))],
    };
    let clock = database::clock(&database).await;
    let reached = match database::check_sqlite(&database).await {
        Ok(None) => Diagnostic::new(
            "database",
            Severity::Good,
            "it answers, its tables are up to date",
        ),
        Ok(Some(found)) if found == "ok" => Diagnostic::new(
            "database",
            Severity::Good,
            "it answers, its file is whole, its tables are up to date",
        ),
        Ok(Some(found)) => Diagnostic::new("database", Severity::Bad, damaged(&found)),
        Err(error) => Diagnostic::new("database", Severity::Bad, helped(&error)),
    };
    let clock = match clock {
        Err(error) => Diagnostic::new("database's clock", Severity::Bad, helped(&error)),
        Ok(theirs) => {
            let off = machine_clock().since(theirs) / 1_000;
            if off.abs() <= MAX_CLOCK_SKEW_SECONDS {
                Diagnostic::new("database's clock", Severity::Good, "that of this machine")
            } else {
                let detail =
                    format!("this machine's clock is {off} seconds ahead of it: set both by NTP");
                Diagnostic::new("database's clock", Severity::Warning, detail)
            }
        }
    };
    vec![reached, clock]
}

fn helped(error: &impl std::fmt::Display) -> String {
    database::with_sqlite_help(format!("{error:#}"))
}

fn damaged(found: &str) -> String {
    helped(&format!("database disk image is malformed ({found})"))
}

/// Whether others on this machine may read what is ours only.
fn permissions(settings: &Settings) -> Diagnostic {
    let wide = exposed_files::find(settings);
    let what = "file permissions";
    if wide.is_empty() {
        let detail = "only the owner can read database, keys and mails";
        return Diagnostic::new(what, Severity::Good, detail);
    }
    let detail = format!("other users may read it: {}", wide.join("; "));
    Diagnostic::new(what, Severity::Warning, detail)
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is this clock that is compared"
)]
fn machine_clock() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Millis(since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }))
}
