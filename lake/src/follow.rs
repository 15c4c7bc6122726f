//! Keeps the window and the directory equal to what is committed, by whatever process.

use marketlake_entities::Sample;
use marketlake_entities::records::segments::Model;

use crate::{Lake, LakeError, Span, catalog, codec};

impl Lake {
    /// Takes in what was committed since the segment `seen` (0: since ever), and returns the newest segment
    /// seen. Only the last 24 hours are read, and all of it becomes visible at once. Run it by one task at a time.
    ///
    /// # Errors
    /// Where the catalog or the store fails; the next call goes on from `seen`.
    pub async fn follow(&self, seen: i64) -> Result<i64, LakeError> {
        if seen > 0 {
            let segments = catalog::new_since(self.database(), seen).await?;
            match self.take_in(&segments).await {
                // Replaced and vacuumed before it was read: what is live now holds its samples.
                Err(LakeError::Store(object_store::Error::NotFound { path, .. })) => {
                    tracing::warn!(
                        path,
                        "a new segment is gone already, reading the whole day anew"
                    );
                }
                result => return result.map(|newest| newest.unwrap_or(seen)),
            }
        }
        let segments = catalog::all_live(self.database()).await?;
        let newest = self.take_in(&segments).await?;
        self.window().set_ready();
        Ok(newest.unwrap_or(0))
    }

    /// Returns the newest of the segments.
    async fn take_in(&self, segments: &[Model]) -> Result<Option<i64>, LakeError> {
        if segments.is_empty() {
            return Ok(None);
        }
        self.refresh_directory().await?;
        let newest = segments.iter().map(|segment| segment.max_ts.minute()).max();
        let day = newest.max(self.window().newest()).map(Span::day_to);
        // Until it is ready the window answers nothing, so that the start needs no second copy in memory.
        let at_start = !self.window().is_ready();
        let mut new: Vec<Sample> = Vec::new();
        for segment in segments {
            if day.is_some_and(|day| segment.max_ts.minute() >= day.from) {
                let bytes = self.store().get(&segment.path).await?;
                new.extend(codec::decode(&segment.path, bytes)?);
            }
            if at_start {
                self.window().apply(&std::mem::take(&mut new));
            }
        }
        self.window().apply(&new);
        Ok(segments.iter().map(|segment| segment.id).max())
    }
}
