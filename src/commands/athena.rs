//! `marketlake athena`: Athena's tables and their manifests.

use std::time::Duration;

use clap::{Args, Subcommand};
use marketlake_entities::database;
use marketlake_lake::Ddl;

use crate::config::{ConfigError, Settings};
use crate::{output, wiring};

/// Creates Athena's tables and publishes their manifests.
///
/// Example: marketlake athena setup --dry-run
#[derive(Args)]
pub(super) struct Athena {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Setup(Setup),
    Publish(Publish),
}

/// Publishes the manifests of all days now, so that Athena's tables contain all committed samples.
///
/// The job publish-manifests does so each minute, and every query for the days that it reads.
/// Example: marketlake athena publish
#[derive(Args)]
struct Publish {
    /// Rewrite all manifests, including current ones; needed after some were deleted.
    #[arg(long)]
    again: bool,
}

/// Creates the Glue database, the tables samples and rollups, and the view prices, if missing.
///
/// Example: marketlake athena setup --dry-run
#[derive(Args)]
struct Setup {
    /// Print the statements instead of running them; needs no AWS.
    #[arg(long)]
    dry_run: bool,
}

impl Athena {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        match self.action {
            Action::Setup(setup) => setup.execute(settings).await,
            Action::Publish(publish) => publish.execute(settings).await,
        }
    }
}

impl Setup {
    async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let store = settings.store_url();
        if !store.starts_with("s3://") {
            let expected = "expected s3://bucket/prefix: Athena reads S3 only";
            return Err(ConfigError::setting("store.url", &store, expected).into());
        }
        let ddl = Ddl::new(&settings.athena.database, &store);
        if self.dry_run {
            return output::line(ddl.to_string().trim_end());
        }
        let lake = wiring::lake::open(settings).await?;
        lake.set_up_athena().await?;
        let statements = ddl.statements().count();
        output::line(&format!(
            "athena: {statements} statements run; the tables samples, rollups and prices of {} \
             can be queried",
            *settings.athena.database
        ))
    }
}

impl Publish {
    async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let lake = wiring::lake::open_to_write(settings).await?;
        let begun = database::clock(lake.database()).await?;
        let days = lake.publish_manifests(begun, self.again).await?;
        let ended = database::clock(lake.database()).await?;
        let taken = Duration::from_millis(u64::try_from(ended.since(begun)).unwrap_or(0));
        output::line(&format!(
            "athena: manifests of {days} days written in {taken:?}"
        ))
    }
}
