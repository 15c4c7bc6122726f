//! Upload of a segment's objects: their keys are committed as upload intents first.

use object_store::path::Path;

use crate::error::LakeError;
use crate::ingest::Ingest;
use crate::lake::Lake;
use crate::segment::encode::{Part, Segment};

impl Ingest<'_> {
    /// Writes objects: first, in one commit, that they will be written; then they themselves.
    pub(crate) async fn write(self, parts: Vec<&mut Part>) -> Result<(), LakeError> {
        self.lake.check_identity().await?;
        let keys: Vec<Path> = parts.iter().map(|part| part.key.clone()).collect();
        self.lake.intents().record(&keys).await?;
        for part in parts {
            part.put(self.lake.store()).await?;
        }
        Ok(())
    }
}

impl Segment {
    /// Writes its objects, once their keys are committed as upload intents.
    pub(crate) async fn write(&mut self, lake: &Lake) -> Result<(), LakeError> {
        let parts = std::iter::once(&mut self.samples).chain(&mut self.rollups);
        lake.ingest().write(parts.collect()).await
    }
}
