//! `marketlake smoke`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use url::Url;

use marketlake_common::{excerpt, redact_url};
use marketlake_http::auth::operator::read_operator_key;

use super::{Global, Usage};
use crate::output::{self, Cell, Format};
use crate::smoke::{self, State, Target};
use crate::{config, operator_key};

/// Looks at a running server from outside: is each route and field there, and has it the right shape. Changes nothing.
///
/// Fails where one is not. A server of this machine is asked with the operator key of the data
/// folder, where there is one. Example: marketlake smoke --wait 2m --key @key.txt
#[derive(Args)]
pub(super) struct Smoke {
    /// Where it answers.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// Ask with this key; @FILE reads it from a file, where others cannot see it.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Wait so long for it to be ready.
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = crate::config::times::flag)]
    wait: Duration,
    /// Ask only whether it is ready: for health checks.
    #[arg(long)]
    ready: bool,
    /// How the answer looks.
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
                "the operator key of the data folder is not this server's: asking without",
            );
            target = target.without_key();
        }
        let looks = if self.ready {
            smoke::ready(&target, self.wait).await
        } else {
            smoke::look(&target, self.wait).await
        };
        let rows: Vec<Vec<Cell>> = looks
            .iter()
            .map(|look| {
                vec![
                    Cell::text(&look.what),
                    Cell::text(look.state.word()),
                    Cell::text(&look.detail),
                ]
            })
            .collect();
        output::print(self.format, &["what", "state", "detail"], &rows)?;
        let is_well = looks.iter().all(|look| look.state != State::Bad);
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

/// The operator key, for a server of this machine only: no other one ever gets it.
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
