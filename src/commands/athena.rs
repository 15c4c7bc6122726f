//! `marketlake athena`: its tables, and what they see.

use std::time::Duration;

use clap::{Args, Subcommand};
use marketlake_entities::database;
use marketlake_lake::Ddl;

use crate::config::{ConfigError, Settings};
use crate::{app, output};

/// Makes Athena's tables, and brings up to date what they see.
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

/// Brings the manifests by which Athena reads up to what is committed, now.
///
/// A question that marketlake asks does so by itself for the days that it is about, and a job each minute for all. Example: marketlake athena publish
#[derive(Args)]
struct Publish {
    /// Write those too that are said to be written: where somebody deleted them.
    #[arg(long)]
    again: bool,
}

/// Makes the database, the tables samples and rollups, and the view prices, where they are missing.
///
/// Example: marketlake athena setup --dry-run
#[derive(Args)]
struct Setup {
    /// Print the statements rather than run them; nothing is asked for then.
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
            let expected = "expected s3://bucket/prefix: Athena reads nothing else";
            return Err(ConfigError::setting("store.url", &store, expected).into());
        }
        settings.athena.options()?;
        let ddl = Ddl::of(&settings.athena.database, &store);
        if self.dry_run {
            return output::line(ddl.to_string().trim_end());
        }
        let lake = app::open_lake(settings).await?;
        lake.set_up_athena().await?;
        let statements = ddl.statements().count();
        output::line(&format!(
            "athena: {statements} statements run; samples, rollups and prices of {} can be asked",
            settings.athena.database
        ))
    }
}

impl Publish {
    async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let lake = app::open_lake_to_write(settings).await?;
        let begun = database::clock(lake.database()).await?;
        let days = lake.publish_manifests(begun, self.again).await?;
        let ended = database::clock(lake.database()).await?;
        let taken = Duration::from_millis(u64::try_from(ended.since(begun)).unwrap_or(0));
        output::line(&format!(
            "athena: manifests of {days} days written in {taken:?}"
        ))
    }
}
