//! Check that catalog, objects and rows agree.

mod deep;
mod future;
mod manifests;
mod repair;
mod stray;

use std::collections::{HashMap, HashSet};
use std::fmt;

use marketlake_entities::database;
use marketlake_entities::records::segments::{Entity, Model, SegmentState, Tier};
use object_store::ObjectMeta;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use sea_orm::EntityTrait;

use crate::catalog::mismatch::MismatchError;
use crate::error::LakeError;
use crate::maintenance::Maintenance;
use crate::maintenance::rebuild::{Adoption, RebuildSummary, Uploads};
use crate::span::Span;
use crate::storage::object::Object;
use crate::storage::paths;

/// Most footers are shorter.
const FOOTER_BYTES: u64 = 1 << 16;

/// Report of a check.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Live segments looked at.
    pub segments: usize,
    /// Rows that their footers state; in a deep check, that were read.
    pub rows: i64,
    /// Size of their objects, in bytes.
    pub bytes: i64,
    /// Retired segments that vacuum has not deleted yet.
    pub retired: usize,
    /// Segments that an earlier repair took out.
    pub set_aside: usize,
    /// Objects without a row in the catalog, for a known reason: uploads under way or aborted,
    /// which vacuum removes once they are old enough, exports, results of Athena.
    pub unlisted: usize,
    /// Objects of segments that the catalog does not know; nothing removes them.
    pub unknown: usize,
    /// Files that are not marketlake's; nothing touches them.
    pub foreign: usize,
    /// Problems, one sentence each; empty where the lake is whole.
    pub problems: Vec<String>,
    /// Repairs, one sentence each.
    pub repairs: Vec<String>,
    /// Rows of replaced segments that stand in for rows of broken ones: later corrections of them
    /// may be undone.
    pub restored: i64,
    /// Rows that could not be rebuilt.
    pub lost: i64,
}

/// Depth of a check, and whether it repairs.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// Read every row.
    pub deep: bool,
    /// Take out what is broken, and rebuild what can be.
    pub repair: bool,
}

/// Fault of a segment.
#[derive(Debug)]
enum Fault {
    /// Its samples; the rollups may be whole.
    Samples(String),
    /// Its rollups only.
    Rollups(String),
}

impl Maintenance<'_> {
    /// Compares the catalog with the objects: each there, of the right size, with as many rows as
    /// stated. With `deep` every row is read: hashes, order, one row a metric and minute, rollups
    /// equal to their rows.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails; what is merely wrong with the lake is in the
    /// report.
    pub async fn check(self, options: CheckOptions) -> Result<CheckReport, LakeError> {
        self.check_adopting(options, &()).await
    }

    /// Checks like [`Self::check`]; a repair reports adopted objects to `adoption`.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    pub async fn check_adopting(
        self,
        options: CheckOptions,
        adoption: &dyn Adoption,
    ) -> Result<CheckReport, LakeError> {
        let mut report = CheckReport::default();
        let mut options = options;
        if options.repair {
            match self.prepare_writes().await {
                Ok(()) => report.adopt(&self.rebuild(adoption, Uploads::LeaveAlone).await?),
                Err(LakeError::Mismatch(MismatchError::LostCommits { .. })) => {
                    self.claim_store().await?;
                    report.adopt(&self.rebuild(adoption, Uploads::Adopt).await?);
                }
                // Another lake's catalog, or an older one, mends nothing here.
                Err(LakeError::Mismatch(_)) => options.repair = false,
                Err(error) => return Err(error),
            }
        }
        let mut all = Entity::find().all(self.lake.database()).await?;
        all.sort_by_key(|segment| (segment.min_ts, segment.id));
        let objects = self.lake.store().list().await?;
        let is_manifest = |object: &&ObjectMeta| paths::is_manifest(&object.location);
        let (manifests, objects): (Vec<_>, Vec<_>) = objects.iter().partition(is_manifest);
        let sizes: HashMap<&str, u64> = objects
            .iter()
            .map(|object| (object.location.as_ref(), object.size))
            .collect();
        let listed: HashSet<&str> = all
            .iter()
            .flat_map(|segment| [Some(segment.path.as_str()), segment.rollup_path.as_deref()])
            .flatten()
            .collect();
        report.retired = count(&all, SegmentState::Retired);
        report.set_aside = count(&all, SegmentState::SetAside);
        self.check_mismatch(&mut report).await?;
        let strays = objects.iter().map(|object| &object.location);
        let strays = strays.filter(|path| !listed.contains(path.as_ref()));
        self.sort_strays(strays, &mut report).await?;
        let live = all.into_iter();
        let live = live.filter(|segment| segment.state == SegmentState::Live);
        let mut whole = Vec::new();
        let now = database::clock(self.lake.database()).await?;
        for segment in live {
            report.segments += 1;
            // Bounds of impossible times are a problem of their own.
            let is_possible = !future::is_out_of_range(&segment, now);
            if let Some(reason) = wrong_span(&segment).filter(|_| is_possible) {
                report.problems.push(format!("{}: {reason}", segment.path));
            }
            let fault = match self.fault(&segment, &sizes, &mut report).await? {
                None if options.deep => self.deep_fault(&segment, &mut report).await?,
                fault => fault,
            };
            let Some(fault) = fault else {
                whole.push(segment);
                continue;
            };
            report.problems.push(format!("{}: {fault}", segment.path));
            if options.repair {
                self.repair(&segment, &fault, &mut report).await?;
            }
        }
        if options.deep {
            self.find_doubles(&whole, &mut report).await?;
        }
        self.check_times(options, &mut report).await?;
        let there = manifests.into_iter().map(|object| &object.location);
        self.check_manifests(&there.collect(), options, &mut report)
            .await?;
        Ok(report)
    }

    /// Fault that sizes and footers reveal.
    async fn fault(
        self,
        segment: &Model,
        sizes: &HashMap<&str, u64>,
        report: &mut CheckReport,
    ) -> Result<Option<Fault>, LakeError> {
        let samples = Object::samples(segment);
        if let Some(reason) = wrong_size(&samples, sizes) {
            return Ok(Some(Fault::Samples(reason)));
        }
        report.bytes += segment.byte_count + segment.rollup_byte_count.unwrap_or(0);
        match self.stated_rows(&samples).await {
            Ok(rows) if rows == segment.row_count => report.rows += rows,
            Ok(rows) => {
                let expected = segment.row_count;
                let reason = format!("{rows} rows, the catalog says {expected}");
                return Ok(Some(Fault::Samples(reason)));
            }
            Err(LakeError::Corrupt { reason, .. }) => {
                return Ok(Some(Fault::Samples(reason.to_string())));
            }
            Err(error) => return Err(error),
        }
        let rollups = Object::rollups(segment);
        let wrong = rollups.and_then(|rollups| wrong_size(&rollups, sizes));
        Ok(wrong.map(Fault::Rollups))
    }

    /// The row count in a footer.
    async fn stated_rows(self, object: &Object) -> Result<i64, LakeError> {
        let mut wanted = FOOTER_BYTES;
        loop {
            let start = object.byte_count.saturating_sub(wanted);
            let tail = self
                .lake
                .store()
                .read_range(object, start..object.byte_count)
                .await?;
            let mut reader = ParquetMetaDataReader::new();
            match reader.try_parse_sized(&tail, object.byte_count) {
                Ok(()) => {
                    let footer = reader.finish().map_err(|e| object.corrupt(e))?;
                    return Ok(footer.file_metadata().num_rows());
                }
                Err(ParquetError::NeedMoreData(bytes)) if start > 0 => wanted = bytes as u64,
                Err(error) => return Err(object.corrupt(error)),
            }
        }
    }
}

/// Rows of more than the hour or day that a segment is of.
fn wrong_span(segment: &Model) -> Option<String> {
    let (first, last) = (segment.min_ts.minute(), segment.max_ts.minute());
    let (span, unit) = match segment.tier {
        Tier::Raw | Tier::Hour => (Span::hour(first), "hour"),
        Tier::Day => (Span::day(first), "day"),
    };
    let is_wrong = !span.contains(last);
    is_wrong.then(|| format!("expected rows of one {unit}, got {first} to {last}"))
}

fn wrong_size(object: &Object, sizes: &HashMap<&str, u64>) -> Option<String> {
    match sizes.get(object.path.as_str()) {
        None => Some("the object is missing".to_owned()),
        Some(&size) if size != object.byte_count => {
            let expected = object.byte_count;
            Some(format!("{size} bytes, the catalog says {expected}"))
        }
        Some(_) => None,
    }
}

fn count(segments: &[Model], state: SegmentState) -> usize {
    segments.iter().filter(|s| s.state == state).count()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples(reason) => f.write_str(reason),
            Self::Rollups(reason) => write!(f, "rollups: {reason}"),
        }
    }
}

impl CheckReport {
    /// Notes what a repair adopted.
    fn adopt(&mut self, rebuilt: &RebuildSummary) {
        if rebuilt.is_empty() {
            return;
        }
        self.problems.push(format!(
            "{} objects of samples are unknown to the catalog",
            rebuilt.objects
        ));
        let mut repair = format!("adopted: {rebuilt}");
        for note in &rebuilt.notes {
            repair += "\n";
            repair += note;
        }
        self.repairs.push(repair);
        self.restored += rebuilt.restored;
        self.lost += rebuilt.lost;
    }

    /// Returns whether every problem was repaired.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.len() == self.repairs.len()
    }
}

impl fmt::Display for CheckReport {
    /// One line of figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "check: {} segments, {} rows, {} bytes, {} retired, {} set aside, {} unlisted \
             objects, {} unknown objects, {} foreign files, {} problems, {} repaired, ",
            self.segments,
            self.rows,
            self.bytes,
            self.retired,
            self.set_aside,
            self.unlisted,
            self.unknown,
            self.foreign,
            self.problems.len(),
            self.repairs.len(),
        )?;
        if self.restored > 0 {
            write!(
                f,
                "{} rows restored from replaced segments, ",
                self.restored
            )?;
        }
        write!(f, "{} rows lost", self.lost)
    }
}
