//! Keeps the window and the directory equal to what is committed, by whatever process.

use marketlake_entities::Sample;

use crate::{Lake, LakeError, Span, catalog, codec};

impl Lake {
    /// Takes in what was committed since the segment `seen` (0: since ever), and returns the newest segment
    /// seen. Only the last 24 hours are read, and
    /// all of it becomes visible at once. Run it by one task at a time.
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
            self.window().set_ready();
            return Ok(seen);
        };
        self.refresh_directory().await?;
        let newest = segments.iter().map(|segment| segment.max_ts.minute()).max();
        let day = newest.max(self.window().newest()).map(Span::day_to);
        let recent = segments
            .iter()
            .filter(|segment| day.is_some_and(|day| segment.max_ts.minute() >= day.from));
        // Until the first call has ended the window answers nothing, so that the start needs no second copy in memory.
        let at_start = !self.window().is_ready();
        let mut new = Vec::new();
        for segment in recent {
            new.extend(self.read_if_there(&segment.path).await?);
            if at_start {
                self.window().apply(&std::mem::take(&mut new));
            }
        }
        self.window().apply(&new);
        self.window().set_ready();
        Ok(last)
    }

    async fn read_if_there(&self, path: &str) -> Result<Vec<Sample>, LakeError> {
        match self.store().get(path).await {
            Ok(bytes) => codec::decode(path, bytes),
            // Replaced and vacuumed since the catalog was read: its successor has a higher id.
            Err(LakeError::Store(object_store::Error::NotFound { .. })) => {
                tracing::warn!(path, "a segment went away while it was being read");
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}
