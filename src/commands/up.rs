//! `marketlake up`.

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::service::{Role, Service};
use crate::{greeting, output, wiring};

/// Runs the server until Ctrl-C or SIGTERM.
///
/// Running work ends within ten seconds. Example: marketlake up --role api
#[derive(Args)]
pub(super) struct Up {
    /// Roles of this process; by default all.
    #[arg(long = "role", value_name = "ROLE", num_args = 1.., value_delimiter = ',')]
    roles: Vec<Role>,
}

impl Up {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let roles = if self.roles.is_empty() {
            &Role::ALL[..]
        } else {
            &self.roles
        };
        let stop = wiring::shutdown::stop_on_signal()?;
        let prepare = prepare(settings, roles, stop.clone());
        let Some(service) = wiring::shutdown::unless_stopped(&stop, prepare).await? else {
            return Ok(());
        };
        if let Some(address) = service.address() {
            output::line(&format!("marketlake answers at http://{address}"))?;
        }
        greeting::print(&service, settings, roles)?;
        service.run().await
    }
}

async fn prepare(
    settings: &Settings,
    roles: &[Role],
    stop: CancellationToken,
) -> anyhow::Result<Service> {
    // A process that only reads may run beside a lake that cannot be written to.
    let lake = if roles.contains(&Role::Scheduler) {
        wiring::lake::open_to_write(settings).await?
    } else {
        let lake = wiring::lake::open(settings).await?;
        wiring::database::refuse_read_only(settings, lake.database()).await?;
        if let Err(error) = lake.maintenance().refuse_lost_catalog().await {
            tracing::error!(%error, "the lake looks empty");
        }
        lake
    };
    Service::prepare(settings, lake, roles, stop).await
}
