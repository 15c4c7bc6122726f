//! Follower of the catalog: applies what any process committed to memory and the directory.

use std::sync::Arc;

use marketlake_entities::database;
use marketlake_entities::records::segments::Model;
use marketlake_model::Minute;
use tokio::task::spawn_blocking;

use crate::catalog::segments;
use crate::error::LakeError;
use crate::query::Queries;
use crate::segment::codec::Reader;
use crate::span::{Span, latest_minute};
use crate::storage::object::Object;

impl Queries<'_> {
    /// Takes in what was committed since the segment `seen` (0: since ever), and returns the newest
    /// segment seen. Only the last 24 hours are read, and all of it becomes visible at once. Run it
    /// by one task at a time.
    ///
    /// # Errors
    /// Fails if the catalog or the store fails; the next call goes on from `seen`.
    pub async fn follow(self, seen: i64) -> Result<i64, LakeError> {
        let now = database::clock(self.lake.database()).await?;
        let last = latest_minute(now);
        if seen > 0 && !self.lake.recent_day().take_skipped_before(last) {
            let segments = segments::new_since(self.lake.database(), seen).await?;
            match self.apply_segments(&segments, last).await {
                // Replaced and vacuumed before it was read: what is live now holds its samples.
                Err(LakeError::Store(object_store::Error::NotFound { path, .. })) => {
                    tracing::warn!(
                        path,
                        "a new segment was retired already; loading the whole day again"
                    );
                }
                result => {
                    let newest = result?.unwrap_or(seen);
                    self.lake.recent_day().set_version(newest);
                    return Ok(newest);
                }
            }
        }
        // First where the catalog stands, then what is live: what comes between is read twice, and
        // not left out.
        let stands_at = segments::newest_id(self.lake.database()).await?;
        if let Some(newest) = segments::newest(self.lake.database()).await? {
            let segments = segments::live(self.lake.database(), Span::last_24h(newest)).await?;
            self.apply_segments(&segments, last).await?;
        }
        self.lake.recent_day().set_version(stands_at);
        self.lake.recent_day().set_ready();
        Ok(stands_at)
    }

    /// Returns the newest of the segments.
    async fn apply_segments(
        self,
        segments: &[Model],
        last: Minute,
    ) -> Result<Option<i64>, LakeError> {
        if segments.is_empty() {
            return Ok(None);
        }
        self.lake.refresh_directory().await?;
        let newest = segments.iter().map(|segment| segment.max_ts.minute()).max();
        let newest = newest.map(|newest| newest.min(last));
        let day = newest
            .max(self.lake.recent_day().newest())
            .map(Span::last_24h);
        let recent: Vec<Object> = segments
            .iter()
            .filter(|segment| day.is_some_and(|day| segment.max_ts.minute() >= day.from))
            .map(Object::samples)
            .collect();
        let objects = self.lake.store().read_all(recent).await?;
        if !objects.is_empty() {
            let window = Arc::clone(self.lake.recent_day());
            let applied = spawn_blocking(move || {
                let readers = objects
                    .into_iter()
                    .map(|(object, bytes)| Reader::new(object, bytes));
                let rows = readers.flat_map(|reader| match reader {
                    Ok(reader) => Box::new(reader) as crate::segment::merge::Source,
                    Err(error) => Box::new(std::iter::once(Err(error))),
                });
                window.apply(rows, last)
            });
            applied
                .await
                .map_err(|error| LakeError::Query(error.into()))??;
        }
        Ok(segments.iter().map(|segment| segment.id).max())
    }
}
