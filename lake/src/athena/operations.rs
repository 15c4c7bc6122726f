//! Operations of a lake on Athena: set-up of tables, publication of manifests.

use marketlake_model::Millis;

use crate::athena::error::AthenaError;
use crate::athena::manifests::{Manifests, changed};
use crate::catalog::segments;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::span::Span;

impl Lake {
    pub(crate) fn manifests(&self) -> Manifests {
        Manifests::new(self.database().clone(), self.store().clone())
    }

    /// Brings the manifests of all days up to what is committed; of those too that are said to be
    /// so already, where `all`. Returns how many days were written.
    ///
    /// # Errors
    /// Fails if the lake is not in a bucket, or the store or the catalog fails; days that were
    /// written stay so.
    pub async fn publish_manifests(&self, now: Millis, all: bool) -> Result<usize, LakeError> {
        let manifests = self.manifests();
        let known = manifests.known().await?;
        let live = segments::live_days(self.database(), Span::ALL).await?;
        let days = if all {
            let all = known.iter().map(|row| row.day.minute());
            all.chain(live.into_keys()).collect()
        } else {
            changed(live, known)
        };
        manifests.publish(days, now).await
    }

    /// Makes Athena's tables where they are missing.
    ///
    /// # Errors
    /// Fails if Athena is not connected, or refuses.
    pub async fn set_up_athena(&self) -> Result<(), LakeError> {
        let athena = self.athena().ok_or(AthenaError::NoneNamed)?;
        Ok(athena.client().set_up().await?)
    }
}
