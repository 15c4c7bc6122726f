//! Stray objects, which no row names: uploads under way, leftovers, lost commits, foreign files.

use object_store::path::Path;

use super::CheckReport;
use crate::catalog::{guard, identity};
use crate::error::LakeError;
use crate::maintenance::Maintenance;
use crate::storage::paths::{self, ObjectKey};

impl Maintenance<'_> {
    /// Sorts objects that no row named when they were listed. Returns those of segments that the
    /// catalog does not know, oldest first; nothing else about them is touched.
    pub(super) async fn sort_strays(
        self,
        strays: impl Iterator<Item = &Path>,
        report: &mut CheckReport,
    ) -> Result<Vec<ObjectKey>, LakeError> {
        let mut keys = Vec::new();
        for path in strays {
            match paths::parse(path) {
                Some(key) => keys.push(key),
                None if paths::is_internal(path) => (),
                None if paths::is_own(path) => report.unlisted += 1,
                None => report.foreign += 1,
            }
        }
        keys.sort_by_key(|key| (key.created_at(), *key));
        let mut unknown = guard::unknown(self.lake.database(), self.lake.store(), &keys).await?;
        unknown.sort_by_key(|key| (key.created_at(), *key));
        // Those of intents, and what was committed since.
        report.unlisted += keys.len() - unknown.len();
        report.unknown = unknown.len();
        if let (Some(first), Some(last)) = (unknown.first(), unknown.last()) {
            report.problems.push(format!(
                "{} objects that the catalog does not know, written from {} to {}, for example \
                 {first}: the database lost their commits, or is another lake's; vacuum leaves \
                 them alone, `marketlake rebuild-catalog` adds them to the catalog",
                unknown.len(),
                first.created_at(),
                last.created_at()
            ));
        }
        Ok(unknown)
    }

    /// Names a catalog that is not the store's.
    pub(super) async fn check_mismatch(self, report: &mut CheckReport) -> Result<(), LakeError> {
        match identity::verify(self.lake.database(), self.lake.store()).await {
            Err(LakeError::Mismatch(error)) => report.problems.push(error.to_string()),
            looked => looked?,
        }
        Ok(())
    }
}
