//! `marketlake smoke`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use url::Url;

use marketlake_common::{excerpt, redact_url};
use marketlake_http::auth::operator::read_operator_key;

use super::{Global, Usage};
use crate::config::times;
use crate::output::{self, Cell, Format};
use crate::smoke::{self, State, Target};
use crate::{config, operator_key};

/// Smoke-tests a running server: probes each route and field for its presence and shape. Read-only.
///
/// Fails if a probe fails. On this machine it uses the operator key of the data folder, if there is
/// one. Example: marketlake smoke --wait 2m --key @key.txt
#[derive(Args)]
pub(super) struct Smoke {
    /// Base URL of the server.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// API key; @FILE reads it from a file, where other users cannot see it.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Time to wait for the server to be ready.
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = times::flag)]
    wait: Duration,
    /// Probe only whether it is ready: for health checks.
    #[arg(long)]
    ready: bool,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Smoke {
    pub(super) async fn execute(self, global: &Global) -> anyhow::Result<ExitCode> {
        if !matches!(self.url.scheme(), "http" | "https") {
            let shown = redact_url(self.url.as_str());
            let shown = excerpt(&shown);
            let problem = format!("URL: expected http:// or https://, got {shown}");
            return Err(Usage(problem).into());
        }
        let given = self.key.map(read).transpose()?;
        let own = own_key(&self.url, global).filter(|_| given.is_none() && !self.ready);
        let mut target = Target::new(self.url, given.or_else(|| own.clone()))?;
        if own.is_some() && !target.takes_key().await {
            output::note(
                "the operator key of the data folder is not this server's: continuing without a \
                 key",
            );
            target = target.without_key();
        }
        let probes = if self.ready {
            smoke::ready(&target, self.wait).await
        } else {
            smoke::run_probes(&target, self.wait).await
        };
        let rows: Vec<Vec<Cell>> = probes
            .iter()
            .map(|probe| {
                vec![
                    Cell::text(&probe.what),
                    Cell::text(probe.state.word()),
                    Cell::text(&probe.detail),
                ]
            })
            .collect();
        output::print(self.format, &["check", "state", "detail"], &rows)?;
        let is_well = probes.iter().all(|probe| probe.state != State::Bad);
        Ok(if is_well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn read(key: String) -> Result<String, Usage> {
    match key.strip_prefix('@') {
        None => Ok(key),
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => Err(Usage(format!("--key @{path}: {error}"))),
        },
    }
}

/// Operator key, for servers on this machine only: no other server ever gets it.
fn own_key(url: &Url, global: &Global) -> Option<String> {
    let is_here = match url.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    let loaded = config::load(global.config.as_deref(), global.data.as_deref()).ok()?;
    let key = read_operator_key(&operator_key::path(&loaded.settings)).ok()?;
    is_here.then(|| key.reveal().to_owned())
}
