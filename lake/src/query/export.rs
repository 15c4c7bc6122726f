//! Export of a part of the lake as one Parquet file, and a presigned link to it.

use std::time::Duration;

use bytes::Bytes;
use marketlake_entities::database;
use marketlake_entities::records::segments::Tier;
use marketlake_model::Metric;

use crate::error::LakeError;
use crate::query::Queries;
use crate::query::engine::QueryEngine;
use crate::segment::codec::Writer;
use crate::span::Span;
use crate::storage::paths;

impl Queries<'_> {
    /// The samples of some metrics in a span as one Parquet file with the columns of the lake's
    /// own, sorted by metric and time.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    pub async fn export(self, metrics: &[Metric], span: Span) -> Result<Bytes, LakeError> {
        let mut metrics = metrics.to_vec();
        metrics.sort();
        metrics.dedup();
        let series = self.lake.datafusion().series(&metrics, span).await?;
        let mut writer = Writer::new(Tier::Day)?;
        for (metric, points) in metrics.iter().zip(&series) {
            writer.push(metric, points)?;
        }
        writer.finish()
    }

    /// Stores a file, and makes a link by which anyone can fetch it for the time `valid` (at most a
    /// week). The file goes with the first vacuum that comes after that time and after its grace.
    /// `None` where the store is no bucket.
    ///
    /// # Errors
    /// Fails if the store fails, or the time is longer than a link can hold.
    pub async fn link(self, file: Bytes, valid: Duration) -> Result<Option<String>, LakeError> {
        let Some(bucket) = self.lake.store().bucket() else {
            return Ok(None);
        };
        let path = paths::new_export();
        self.lake.check_identity().await?;
        let until = database::clock(self.lake.database()).await?.plus(valid);
        let keys = std::slice::from_ref(&path);
        self.lake.intents().record_until(keys, Some(until)).await?;
        self.lake.store().put(&path, file).await?;
        bucket.link(&path, valid).await.map(Some)
    }
}
