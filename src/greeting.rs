//! Start-up lines of a server, on stdout.

use std::io::IsTerminal;

use crate::config::{ConfigError, Settings};
use crate::service::{Role, Service};
use crate::{exposed_files, operator_key, output};

/// Creates the operator key and prints the address of health and `/metrics`. On a terminal it
/// prints a link with the key in its fragment, which browsers send to no server; a log never
/// contains it.
pub(crate) fn print(service: &Service, settings: &Settings, roles: &[Role]) -> anyhow::Result<()> {
    log_start(service, settings, roles);
    let key = operator_key::ensure(settings);
    exposed_files::warn(settings);
    output::line(&match service.operations_address() {
        Some(address) => format!("health and metrics at http://{address}"),
        None => "health and metrics: off (operations.listen)".to_owned(),
    })?;
    if let Some(notice) = settings.auth.public_notice() {
        tracing::info!("{notice}");
    }
    if let Some(key) = key
        && std::io::stdout().is_terminal()
        && let Some(base) = base(service, settings)?
    {
        let key = key.reveal();
        output::line(&format!(
            "the operator's link, not to be shared: {base}/#key={key}"
        ))?;
    }
    Ok(())
}

/// Logs one line about what runs, and on what.
fn log_start(service: &Service, settings: &Settings, roles: &[Role]) {
    let feeds: Vec<String> = settings
        .feeds
        .iter()
        .map(|feed| feed.kind().name().to_owned())
        .collect();
    let roles: Vec<String> = roles
        .iter()
        .map(|role| format!("{role:?}").to_lowercase())
        .collect();
    let address = service.address().map(|address| address.to_string());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        database = %settings.database_url(),
        store = settings.store_url(),
        feeds = feeds.join(","),
        roles = roles.join(","),
        address,
        "marketlake starts"
    );
}

/// URL of the API for browsers.
fn base(service: &Service, settings: &Settings) -> Result<Option<String>, ConfigError> {
    if settings.server.public_url.is_some() {
        let url = settings.public_url();
        return Ok(Some(url.trim_end_matches('/').to_owned()));
    }
    let address = service.address().map(|address| {
        if address.ip().is_unspecified() {
            format!("http://127.0.0.1:{}", address.port())
        } else {
            format!("http://{address}")
        }
    });
    Ok(address)
}
