//! Checks of database and store before a command reads or writes.

use crate::catalog::{guard, identity};
use crate::error::LakeError;
use crate::maintenance::Maintenance;

impl Maintenance<'_> {
    /// Makes sure that this catalog may write to this store: both are of one lake, and the catalog
    /// is not older than the store's newest objects. For the start of whatever writes.
    ///
    /// # Errors
    /// [`LakeError::Mismatch`] where it may not; where the store or the catalog fails.
    pub async fn prepare_writes(self) -> Result<(), LakeError> {
        if identity::ensure(self.lake.database(), self.lake.store()).await? {
            return Ok(());
        }
        guard::check(self.lake.database(), self.lake.store()).await
    }

    /// Refuses a catalog without any object beside a store that holds some: what is read from it
    /// would pass for an empty lake.
    ///
    /// # Errors
    /// [`LakeError::Mismatch`], which names what helps; where database or store fail.
    pub async fn refuse_lost_catalog(self) -> Result<(), LakeError> {
        guard::refuse_empty(self.lake.database(), self.lake.store()).await
    }

    /// Makes this database the one that the store's lake is of, whatever was before: for a catalog
    /// that was rebuilt from the store's objects. Every other database of that lake is refused from
    /// then on.
    ///
    /// # Errors
    /// Fails if the store or the database fails.
    pub async fn claim_store(self) -> Result<(), LakeError> {
        identity::claim(self.lake.database(), self.lake.store()).await
    }
}
