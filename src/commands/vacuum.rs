//! `marketlake vacuum`.

use marketlake_entities::database;

use crate::config::Settings;
use crate::{output, wiring};

pub(super) async fn execute(settings: &Settings) -> anyhow::Result<()> {
    let grace = settings.jobs.vacuum_grace_period.get();
    let lake = wiring::lake::open_to_write(settings).await?;
    let now = database::clock(lake.database()).await?;
    let expired = lake.maintenance().expire(now, settings.retention()).await?;
    let mut vacuumed = lake.maintenance().vacuum(now, grace).await?;
    vacuumed.expired = expired;
    output::line(&vacuumed.to_string())
}
