//! Check of Athena's manifests: present, and equal to the catalog.

use std::collections::HashSet;

use marketlake_entities::database;
use marketlake_entities::records::manifests::Entity;
use object_store::path::Path;
use sea_orm::EntityTrait;

use super::{CheckOptions, CheckReport};
use crate::athena::setup::{ROLLUPS, SAMPLES};
use crate::error::LakeError;
use crate::maintenance::Maintenance;
use crate::storage::paths;

impl Maintenance<'_> {
    /// Checks that the published manifests exist; in a deep check, that their content is right.
    pub(super) async fn check_manifests(
        self,
        there: &HashSet<&Path>,
        options: CheckOptions,
        report: &mut CheckReport,
    ) -> Result<(), LakeError> {
        for row in Entity::find().all(self.lake.database()).await? {
            let day = row.day.minute();
            let paths = [SAMPLES, ROLLUPS].map(|table| paths::manifest(table, day));
            let missing = paths.iter().find(|path| !there.contains(path));
            let wrong = match missing {
                Some(path) => Some(format!("{path}: missing")),
                None if options.deep => self.lake.manifests().wrong(&row).await?,
                None => None,
            };
            let Some(wrong) = wrong else { continue };
            report.problems.push(format!(
                "{wrong}: Athena reads an outdated version of that day; `marketlake athena \
                 publish --again` writes it again"
            ));
            if options.repair {
                let now = database::clock(self.lake.database()).await?;
                self.lake.manifests().republish_day(day, now).await?;
                report
                    .repairs
                    .push(format!("{}: manifests written again", day.date()));
            }
        }
        Ok(())
    }
}
