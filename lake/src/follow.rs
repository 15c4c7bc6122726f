//! Keeps the window and the directory equal to what is committed, by whatever process.

use marketlake_entities::Sample;

use crate::{Lake, LakeError, Span, catalog, codec};

impl Lake {
    /// Takes in what was committed since the segment `seen` (0: since ever), and returns the newest segment
    /// seen. Only the last 24 hours are read. Run it by one task at a time.
    ///
    /// # Errors
    /// Where the catalog or the store fails; what was taken in stays, and the next call goes on.
    pub async fn follow(&self, seen: i64) -> Result<i64, LakeError> {
        let segments = if seen == 0 {
            catalog::all_live(self.database()).await?
        } else {
            catalog::new_since(self.database(), seen).await?
        };
        let Some(last) = segments.iter().map(|segment| segment.id).max() else {
            return Ok(seen);
        };
        self.refresh_directory().await?;
        let newest = segments.iter().map(|segment| segment.max_ts.minute()).max();
        let day = newest.max(self.window().newest()).map(Span::day_to);
        let recent = segments
            .iter()
            .filter(|segment| day.is_some_and(|day| segment.max_ts.minute() >= day.from));
        for segment in recent {
            match self.store().get(&segment.path).await {
                Ok(bytes) => {
                    let rows: Vec<Sample> = codec::decode(&segment.path, bytes)?;
                    self.window().apply(&rows);
                }
                // Replaced and vacuumed since the catalog was read: its successor has a higher id.
                Err(LakeError::Store(object_store::Error::NotFound { .. })) => {
                    tracing::warn!(path = segment.path, "a segment went away while it was being read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(last)
    }
}
