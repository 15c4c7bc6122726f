//! Logs, on stderr.

use std::backtrace::Backtrace;
use std::io::IsTerminal;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use marketlake_common::panic_message;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Whether each line of the log is a JSON object.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Whether logging has started, and each of its lines is a JSON object.
pub(crate) fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Starts logging; `RUST_LOG` filters, by default `info` of marketlake and warnings of the rest.
pub(crate) fn start(format: LogFormat, quiet: bool) {
    // The pool's warnings per connection are logged once an outage.
    let default = if quiet {
        "warn,aws_config=error,sqlx=error,sqlx_core=error"
    } else {
        "warn,aws_config=error,sqlx=error,sqlx_core=error,marketlake=info,marketlake_jobs=info,\
         marketlake_alerts=info,marketlake_lake=info"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start (in a test) keeps the first.
    let _ = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    panic::set_hook(Box::new(|panic| {
        let message = panic_message(panic.payload());
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, backtrace = %Backtrace::capture(), "panic: {message}");
    }));
}
