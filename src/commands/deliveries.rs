//! `marketlake deliveries`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use marketlake_alerts::delivery::outbox;
use marketlake_common::excerpt;
use marketlake_entities::database;
use marketlake_entities::records::deliveries::DeliveryState;
use sea_orm::DatabaseConnection;

use crate::config::Settings;
use crate::output::{self, Cell, Format};
use crate::wiring;

/// Lists and controls deliveries in the outbox.
#[derive(Args)]
pub(super) struct Deliveries {
    #[command(subcommand)]
    command: DeliveriesCommand,
}

#[derive(Subcommand)]
enum DeliveriesCommand {
    /// Lists the newest deliveries.
    ///
    /// Example: marketlake deliveries list --state dead
    List {
        /// Only deliveries in this state.
        #[arg(long, value_enum)]
        state: Option<StateFlag>,
        /// Maximum number of deliveries.
        #[arg(long, default_value_t = 100)]
        limit: u64,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Retries deliveries that were given up or whose result is unknown.
    ///
    /// Example: marketlake deliveries requeue 6a9c7a1e-..
    Requeue {
        /// Ids of the deliveries.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Stops all deliveries until `deliveries start`; those that become too old meanwhile expire.
    ///
    /// Example: marketlake deliveries stop --reason "wrong prices from the exchange"
    Stop {
        /// Reason, shown in the list of throttles.
        #[arg(long, default_value = "stopped by hand")]
        reason: String,
    },
    /// Starts deliveries again.
    ///
    /// Example: marketlake deliveries start
    Start,
}

#[derive(Clone, Copy, ValueEnum)]
enum StateFlag {
    Pending,
    Sending,
    Sent,
    Retry,
    Dead,
    Unknown,
}

impl From<StateFlag> for DeliveryState {
    fn from(flag: StateFlag) -> Self {
        match flag {
            StateFlag::Pending => Self::Pending,
            StateFlag::Sending => Self::Sending,
            StateFlag::Sent => Self::Sent,
            StateFlag::Retry => Self::Retry,
            StateFlag::Dead => Self::Dead,
            StateFlag::Unknown => Self::Unknown,
        }
    }
}

impl Deliveries {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let database = wiring::database::open(settings).await?;
        match self.command {
            DeliveriesCommand::List {
                state,
                limit,
                format,
            } => list(&database, state, limit, format).await?,
            DeliveriesCommand::Requeue { ids } => return requeue(&database, &ids).await,
            DeliveriesCommand::Stop { reason } => {
                let now = database::clock(&database).await?;
                outbox::pause_sending(&database, &reason, now).await?;
                output::line("deliveries: stopped; `marketlake deliveries start` resumes them")?;
            }
            DeliveriesCommand::Start => {
                let was = outbox::resume_sending(&database).await?;
                let words = if was {
                    "running"
                } else {
                    "they were not stopped"
                };
                output::line(&format!("deliveries: {words}"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(
    database: &DatabaseConnection,
    state: Option<StateFlag>,
    max: u64,
    format: Format,
) -> anyhow::Result<()> {
    let listed = outbox::list(database, state.map(DeliveryState::from), max).await?;
    let rows: Vec<Vec<Cell>> = listed
        .into_iter()
        .map(|row| {
            vec![
                Cell::text(row.id),
                Cell::text(row.kind),
                Cell::text(row.channel),
                Cell::text(row.to),
                Cell::text(row.state),
                Cell::number(row.attempts),
                Cell::number(row.unknowns),
                Cell::text(row.created_at),
                row.error.map_or(Cell::Null, Cell::text),
            ]
        })
        .collect();
    let columns = [
        "id", "kind", "channel", "to", "state", "attempts", "unknowns", "created", "error",
    ];
    output::print(format, &columns, &rows)
}

async fn requeue(database: &DatabaseConnection, ids: &[String]) -> anyhow::Result<ExitCode> {
    let now = database::clock(database).await?;
    let mut all = true;
    for id in ids {
        let done = outbox::requeue(database, id, now).await?;
        all &= done;
        let words = if done {
            "due again"
        } else {
            "no dead or unknown delivery has this id"
        };
        output::line(&format!("{}: {words}", excerpt(id)))?;
    }
    Ok(ExitCode::from(u8::from(!all)))
}
