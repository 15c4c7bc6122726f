//! Command-line interface, one file a subcommand.

mod athena;
mod backfill;
mod backtest;
mod check;
mod compact;
mod config;
mod coverage;
mod deliveries;
mod demo;
mod doctor;
mod export;
mod import;
mod jumps;
mod keys;
mod mail;
mod metrics;
mod portable;
mod query_args;
mod rank;
mod rebuild_catalog;
mod rule_args;
mod rules;
mod run;
mod signing_keys;
mod smoke;
mod subscriptions;
mod timeseries;
mod up;
mod vacuum;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Loaded, load, log_format};
use crate::{logs, output, wiring};

/// Wrong usage of a command or flag: exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The market-data lake that anyone can run.
///
/// Records every crypto price, every minute, into a Parquet lake that you own; answers over GraphQL
/// and REST; mails you when a metric jumps.
///
/// Example: marketlake demo
#[derive(Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Global flags.
#[derive(Args)]
struct Global {
    /// Settings file; by default marketlake.toml, if it exists.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Base folder for everything without a path of its own.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Up(up::Up),
    Run(run::Run),
    Import(import::Import),
    Backfill(backfill::Backfill),
    Metrics(metrics::Metrics),
    Timeseries(timeseries::Timeseries),
    Rank(rank::Rank),
    Jumps(jumps::Jumps),
    Coverage(coverage::Coverage),
    Backtest(backtest::Backtest),
    Rules(rules::Rules),
    Subscriptions(subscriptions::Subscriptions),
    Deliveries(deliveries::Deliveries),
    Mail(mail::Mail),
    SigningKeys(signing_keys::SigningKeys),
    Keys(keys::Keys),
    Check(check::Check),
    RebuildCatalog(rebuild_catalog::RebuildCatalog),
    Doctor(doctor::Doctor),
    Athena(athena::Athena),
    Export(export::Export),
    Smoke(smoke::Smoke),
    /// Merges segments now: raw ones of each completed hour, and hours of each completed day.
    ///
    /// Example: marketlake compact
    Compact,
    /// Retires samples beyond their retention and deletes objects that were replaced before the
    /// grace period, now.
    ///
    /// Example: marketlake vacuum
    Vacuum,
    /// Migrates the database. Every other command does so too.
    ///
    /// Example: marketlake migrate
    Migrate,
    /// Prints the GraphQL schema.
    ///
    /// Example: marketlake schema > schema.graphql
    Schema,
    /// Prints the REST API as OpenAPI 3.1.
    ///
    /// Example: marketlake openapi > openapi.json
    Openapi,
    /// Prints every setting with its value and its source.
    ///
    /// Example: marketlake config
    Config(config::Config),
}

/// Runs a command.
pub(crate) async fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    if matches!(cli.command, Command::Schema) {
        output::line(marketlake_graphql::schema::sdl().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    if matches!(cli.command, Command::Openapi) {
        output::line(&marketlake_rest::openapi().to_pretty_json()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Smoke(smoke) = cli.command {
        logs::start(log_format(cli.global.config.as_deref()), true);
        return smoke.execute(&cli.global).await;
    }
    let file = cli.global.config.as_deref();
    let loaded = load(file, cli.global.data.as_deref());
    let mut loaded = loaded.inspect_err(|_| logs::start(log_format(file), true))?;
    let runs_long = matches!(
        cli.command,
        Command::Demo(_) | Command::Up(_) | Command::Backfill(_)
    );
    loaded.settings.runs_long = runs_long;
    logs::start(loaded.settings.log.format, !runs_long);
    dispatch(cli.command, loaded).await
}

async fn dispatch(command: Command, loaded: Loaded) -> anyhow::Result<ExitCode> {
    let settings = &loaded.settings;
    match command {
        Command::Demo(demo) => demo.execute(loaded.settings).await?,
        Command::Up(up) => up.execute(settings).await?,
        Command::Run(run) => return run.execute(settings).await,
        Command::Import(import) => return import.execute(settings).await,
        Command::Backfill(backfill) => return backfill.execute(settings).await,
        Command::Metrics(metrics) => metrics.execute(settings).await?,
        Command::Timeseries(timeseries) => timeseries.execute(settings).await?,
        Command::Rank(rank) => rank.execute(settings).await?,
        Command::Jumps(jumps) => return jumps.execute(settings).await,
        Command::Coverage(coverage) => coverage.execute(settings).await?,
        Command::Backtest(backtest) => backtest.execute(settings).await?,
        Command::Rules(rules) => return rules.execute(),
        Command::Subscriptions(subscriptions) => subscriptions.execute(settings).await?,
        Command::Deliveries(deliveries) => return deliveries.execute(settings).await,
        Command::Mail(mail) => mail.execute(settings).await?,
        Command::SigningKeys(keys) => return keys.execute(settings).await,
        Command::Keys(keys) => return keys.execute(settings).await,
        Command::Check(check) => return check.execute(settings).await,
        Command::RebuildCatalog(rebuild) => return rebuild.execute(settings).await,
        Command::Doctor(doctor) => return doctor.execute(settings).await,
        Command::Athena(athena) => athena.execute(settings).await?,
        Command::Export(export) => export.execute(settings).await?,
        Command::Compact => return compact::execute(settings).await,
        Command::Vacuum => vacuum::execute(settings).await?,
        Command::Migrate => {
            wiring::database::open(settings).await?;
            output::line("migrate: the tables are up to date")?;
        }
        Command::Schema | Command::Openapi | Command::Smoke(_) => (),
        Command::Config(config) => config::execute(&config, &loaded)?,
    }
    Ok(ExitCode::SUCCESS)
}
