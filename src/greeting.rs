//! Lines that a process which serves begins with, on stdout.

use std::io::IsTerminal;

use crate::config::{ConfigError, Settings};
use crate::service::Service;
use crate::{exposed_files, operator_key, output};

/// Makes the operator key, and says where health and `/metrics` are. On a terminal it shows the
/// link with the key: in the fragment, which browsers send to no server; a log never has it.
pub(crate) fn print(service: &Service, settings: &Settings) -> anyhow::Result<()> {
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

/// Where a browser reaches the API.
fn base(service: &Service, settings: &Settings) -> Result<Option<String>, ConfigError> {
    if settings.server.public_url.is_some() {
        let url = settings.public_url()?;
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
