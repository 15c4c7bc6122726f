//! The lake: catalog, object store and, if configured, Athena.

use std::sync::Arc;

use marketlake_lake::{Lake, LakeError, Store};

use super::database;
use crate::config::{ConfigError, Settings};

/// Opens the lake.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Arc<Lake>> {
    let database = database::open(settings).await?;
    let url = settings.store_url();
    let unusable = |error: &LakeError| {
        ConfigError::setting(
            "store.url",
            &url,
            format!("cannot reach the store: {error}"),
        )
    };
    let store = Store::open(&settings.store()?).await;
    let store = store.map_err(|error| unusable(&error))?;
    store.probe().await.map_err(|error| unusable(&error))?;
    let lake = Lake::open(database, store, settings.market_order()).await?;
    if let Some((options, route)) = settings.athena.options() {
        let named = options.workgroups.join(", ");
        let connected = lake.connect_athena(options, route);
        connected.map_err(|error| ConfigError::setting("athena.workgroups", &named, error))?;
    }
    Ok(lake)
}

/// Opens the lake for reading: refuses a catalog that lost everything.
pub(crate) async fn open_to_read(settings: &Settings) -> anyhow::Result<Arc<Lake>> {
    let lake = open(settings).await?;
    lake.maintenance().refuse_lost_catalog().await?;
    Ok(lake)
}

/// Opens the lake for writing: refuses a catalog that is not the store's, or that is older than it.
pub(crate) async fn open_to_write(settings: &Settings) -> anyhow::Result<Arc<Lake>> {
    let lake = open(settings).await?;
    database::refuse_read_only(settings, lake.database()).await?;
    lake.maintenance().prepare_writes().await?;
    Ok(lake)
}
