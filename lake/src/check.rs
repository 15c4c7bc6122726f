//! Is catalog = objects = rows?

use std::collections::HashSet;
use std::fmt;

use futures::TryStreamExt;
use marketlake_entities::records::segments::{Entity, Model, State};
use object_store::ObjectStore;
use sea_orm::EntityTrait;

use crate::{Lake, LakeError, codec};

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Live segments looked at.
    pub segments: usize,
    /// Rows that their footers state.
    pub rows: i64,
    /// Their size, in bytes.
    pub bytes: i64,
    /// Retired segments that vacuum has not deleted yet.
    pub retired: usize,
    /// Objects without a row in the catalog; vacuum removes them once they are old enough.
    pub unlisted: usize,
    /// What is wrong, one sentence each; empty where the lake is whole.
    pub problems: Vec<String>,
}

impl Lake {
    /// Compares the catalog with the objects, and row counts with the files' footers.
    ///
    /// # Errors
    /// Where the store or the catalog fails; what is merely wrong with the lake is in the report.
    pub async fn check(&self) -> Result<Report, LakeError> {
        let rows = Entity::find().all(self.database()).await?;
        let listed: HashSet<&str> = rows.iter().map(|row| row.path.as_str()).collect();
        let objects: Vec<_> = self.store().objects().list(None).try_collect().await?;
        let mut report = Report {
            unlisted: objects
                .iter()
                .filter(|o| !listed.contains(o.location.as_ref()))
                .count(),
            ..Report::default()
        };
        for segment in &rows {
            match segment.state {
                State::Retired => report.retired += 1,
                State::Live => self.check_segment(segment, &mut report).await?,
            }
        }
        Ok(report)
    }

    async fn check_segment(&self, segment: &Model, report: &mut Report) -> Result<(), LakeError> {
        report.segments += 1;
        let problem = match self.store().get(&segment.path).await {
            Err(LakeError::Store(object_store::Error::NotFound { .. })) => {
                Some("the object is missing".to_owned())
            }
            Err(error) => return Err(error),
            Ok(bytes) => {
                report.bytes += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
                if i64::try_from(bytes.len()).ok() == Some(segment.byte_count) {
                    match codec::row_count(&bytes) {
                        Err(reason) => Some(reason),
                        Ok(rows) => {
                            report.rows += rows;
                            (rows != segment.row_count).then(|| {
                                format!("{rows} rows, the catalog says {}", segment.row_count)
                            })
                        }
                    }
                } else {
                    Some(format!(
                        "{} bytes, the catalog says {}",
                        bytes.len(),
                        segment.byte_count
                    ))
                }
            }
        };
        report
            .problems
            .extend(problem.map(|reason| format!("{}: {reason}", segment.path)));
        Ok(())
    }
}

impl fmt::Display for Report {
    /// One line of figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "check: {} segments, {} rows, {} bytes, {} retired, {} unlisted objects, {} problems",
            self.segments,
            self.rows,
            self.bytes,
            self.retired,
            self.unlisted,
            self.problems.len()
        )
    }
}
