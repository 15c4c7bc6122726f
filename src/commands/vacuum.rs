//! `marketlake vacuum`.

use marketlake_entities::database;

use crate::config::Settings;
use crate::{app, output};

pub(super) async fn execute(settings: &Settings) -> anyhow::Result<()> {
    let grace = settings.vacuum_grace()?;
    let lake = app::open_lake(settings).await?;
    let now = database::clock(lake.database()).await?;
    output::line(&lake.vacuum(now, grace).await?.to_string())
}
