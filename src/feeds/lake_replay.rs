//! Feed that replays another lake's history as if it were live.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use marketlake_entities::database::{self, ConnectError};
use marketlake_feeds::{Batch, Coverage, Feed, FeedError, ReplayClock};
use marketlake_lake::{Lake, LakeError, Span, Store, StoreOptions};
use marketlake_model::Minute;

use crate::{config, wiring};

/// Feed of a lake in a data folder, opened read-only.
pub(super) struct LakeReplay {
    lake: Arc<Lake>,
    folder: String,
    pace: ReplayClock,
}

/// Error of opening a lake for replay.
#[derive(Debug, thiserror::Error)]
pub(super) enum LakeReplayError {
    #[error("expected the data folder of a lake: {0} does not exist")]
    NoLake(String),
    #[error("cannot read its catalog: {0}")]
    Catalog(#[from] ConnectError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("it holds no sample")]
    Empty,
}

impl LakeReplay {
    /// Opens the lake; `from` and `to` default to its first and last minute.
    pub(super) async fn open(
        folder: &Path,
        from: Option<Minute>,
        to: Option<Minute>,
        speed: f64,
    ) -> Result<Self, LakeReplayError> {
        let catalog = folder.join("marketlake.db");
        if !catalog.is_file() {
            return Err(LakeReplayError::NoLake(catalog.display().to_string()));
        }
        let database = database::connect(&database::sqlite_url(&catalog)).await?;
        let database = wiring::database::close_at_end(database);
        let store = Store::open(&StoreOptions {
            url: config::file_url(&folder.join("lake")),
            ..StoreOptions::default()
        })
        .await?;
        let lake = Lake::open(database, store, Vec::new()).await?;
        let bounds = lake.bounds().await?.ok_or(LakeReplayError::Empty)?;
        let (from, to) = (from.unwrap_or(bounds.from), to.unwrap_or(bounds.to));
        Ok(Self {
            lake,
            folder: folder.display().to_string(),
            pace: ReplayClock { from, to, speed },
        })
    }

    pub(super) fn clock(&self) -> ReplayClock {
        self.pace
    }
}

#[async_trait]
impl Feed for LakeReplay {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn coverage(&self) -> Coverage {
        Coverage::Historical
    }

    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        let span = Span {
            from: slot,
            to: slot,
        };
        let samples = self
            .lake
            .datafusion()
            .samples(span)
            .await
            .map_err(|error| FeedError::Malformed {
                url: self.folder.clone(),
                reason: error.to_string(),
            })?;
        let mut batch = Batch::default();
        for sample in samples {
            let metric = sample.metric.clone();
            batch.keep(metric.id(), sample);
        }
        Ok(batch)
    }
}
