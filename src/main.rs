//! `marketlake`: the market-data lake that anyone can run.

mod background;
mod commands;
mod config;
mod exposed_files;
mod feeds;
mod greeting;
mod logs;
mod metric_descriptions;
mod migrate;
mod operator_key;
mod output;
mod progress;
mod server;
mod service;
mod smoke;
mod wiring;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use commands::{Cli, Usage};
use config::ConfigError;
use marketlake_common::reason;
use marketlake_entities::database;

/// Stack size of each thread. Recursion is bounded to need far less, also in debug builds.
const STACK_BYTES: usize = 8 << 20;

/// Time that blocking work, like a wait for a file's lock, has after everything else has ended. It
/// leaves what a crash would leave.
const THREADS_TIMEOUT: Duration = Duration::from_secs(1);

/// Exit status: 0 done, 1 failed, 2 bad usage or configuration.
fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run());
            runtime.shutdown_timeout(THREADS_TIMEOUT);
            code
        }
        Err(error) => {
            report(&anyhow::Error::new(error).context("cannot start threads"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> ExitCode {
    // Reads FAILPOINTS in a build with that feature; does nothing in any other.
    let _failpoints = fail::FailScenario::setup();
    let executed = commands::execute(Cli::parse()).await;
    wiring::database::close().await;
    match executed {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            let is_usage = error.is::<ConfigError>() || error.is::<Usage>();
            ExitCode::from(if is_usage { 2 } else { 1 })
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is where errors are shown")]
fn report(error: &anyhow::Error) {
    let error = database::with_sqlite_help(reason(error.as_ref()));
    if logs::is_json() {
        tracing::error!("{error}");
    } else {
        eprintln!("marketlake: {error}");
    }
}
