//! Object of samples, read whole and verified.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use marketlake_entities::records::segments::{Model, Origin, Tier};
use marketlake_model::{Metric, Millis};

use super::unit::span_of;
use crate::error::LakeError;
use crate::segment::codec::{Footer, HourChecksum, HourChecksums, Reader, RollupRow};
use crate::segment::merge::{Source, in_memory};
use crate::segment::rollup::rollups;
use crate::segment::rows::Rows;
use crate::segment::statement::{RowChecksum, Statement, is_intact};
use crate::segment::verify::verified_rows;
use crate::span::{Point, Span};
use crate::storage::checksum::Checksums;
use crate::storage::object::Object;
use crate::storage::paths::ObjectKey;

/// Role of an object in a rebuild.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// The catalog lacks it.
    Unlisted,
    /// It is live in the catalog.
    Live(Box<Model>),
    /// It was replaced by a live one that is damaged or gone.
    Replaced,
}

/// An object of samples.
pub(super) struct File {
    pub(super) key: ObjectKey,
    pub(super) role: Role,
    pub(super) object: Object,
    pub(super) sums: Checksums,
    pub(super) origin: Origin,
    pub(super) written: Millis,
    pub(super) base: Option<Millis>,
    pub(super) content: Content,
    /// Rows that it states, where it states any.
    pub(super) stated_rows: Option<u64>,
    /// Whether it carries checksums of its own.
    pub(super) is_verified: bool,
    rows: FileRows,
}

/// Rows of an object.
#[derive(Default)]
pub(super) struct Content {
    pub(super) row_count: i64,
    pub(super) span: Option<Span>,
    pub(super) metrics: BTreeSet<Metric>,
    /// Expected rollups; empty for raw objects.
    pub(super) rollups: Vec<RollupRow>,
    pub(super) hours: HourChecksums,
    /// Whether all of it is what was written, in order.
    pub(super) is_whole: bool,
}

enum FileRows {
    Whole(Bytes),
    Salvaged(Arc<Rows>),
}

impl File {
    /// Takes an object in; `hours` are what its rollups state, for the case that it is damaged.
    pub(super) fn new(
        key: ObjectKey,
        role: Role,
        object: Object,
        bytes: Bytes,
        hours: Option<&HourChecksums>,
    ) -> Self {
        let stated = statement(&object, &bytes);
        let is_verified = matches!(&stated, Ok(Some(_)));
        let stated = stated.ok().flatten();
        let with_rollups = key.tier != Tier::Raw;
        let read = || verify(&object, &bytes, stated.as_ref(), &key, with_rollups);
        // Decoders are not made for damage: some of it is a panic.
        let whole = catch_unwind(AssertUnwindSafe(read))
            .ok()
            .and_then(Result::ok);
        let sums = Checksums::from_bytes(&bytes);
        let (content, rows) = match whole {
            Some(content) => (content, FileRows::Whole(bytes)),
            None => {
                let rows = within(&verified_rows(&object, &bytes, hours), span_of(&key));
                (
                    salvaged(&rows, span_of(&key)),
                    FileRows::Salvaged(rows.into()),
                )
            }
        };
        let made = key.created_at();
        Self {
            origin: stated
                .as_ref()
                .and_then(Statement::origin)
                .unwrap_or(Origin::Import),
            written: stated.as_ref().map_or(made, Statement::written),
            base: stated.as_ref().and_then(Statement::base),
            stated_rows: stated.as_ref().map(Statement::row_count),
            is_verified,
            key,
            role,
            object,
            sums,
            content,
            rows,
        }
    }

    /// Its rows, decoded in batches.
    pub(super) fn source(&self, batch_rows: usize) -> Result<Source, LakeError> {
        match &self.rows {
            FileRows::Salvaged(rows) => Ok(in_memory(Arc::clone(rows))),
            FileRows::Whole(bytes) => {
                let footer = Footer::read(&self.object, bytes)?;
                let object = self.object.clone();
                let reader = Reader::part(object, &footer, bytes.clone(), None, batch_rows)?;
                Ok(Box::new(reader))
            }
        }
    }

    /// Returns whether it may become or stay live as it is.
    pub(super) fn may_be_live(&self) -> bool {
        self.content.is_whole && !matches!(self.role, Role::Replaced)
    }

    pub(super) fn is_unlisted(&self) -> bool {
        matches!(self.role, Role::Unlisted)
    }

    pub(super) fn live(&self) -> Option<&Model> {
        match &self.role {
            Role::Live(model) => Some(model),
            _ => None,
        }
    }
}

/// Those of some rows that lie in a span: a file that was copied to another day's folder has none.
fn within(rows: &Rows, span: Span) -> Rows {
    let mut kept = Rows::default();
    for (metric, points) in rows.series() {
        let inside = points
            .iter()
            .filter(|point| span.contains(point.ts))
            .copied();
        let inside: Vec<Point> = inside.collect();
        if !inside.is_empty() {
            kept.extend(metric, &inside);
        }
    }
    kept
}

/// Statement that a file carries.
pub(super) fn statement(object: &Object, bytes: &Bytes) -> Result<Option<Statement>, String> {
    let read = || {
        let footer = Footer::read(object, bytes).map_err(|error| error.to_string())?;
        footer.statement()
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("no footer".to_owned()))
}

/// Reads all rows and compares them with what the file states of them.
fn verify(
    object: &Object,
    bytes: &Bytes,
    stated: Option<&Statement>,
    key: &ObjectKey,
    with_rollups: bool,
) -> Result<Content, String> {
    if object.is_checked() {
        object.check_whole(bytes).map_err(|e| e.to_string())?;
    }
    let footer = Footer::read(object, bytes).map_err(|e| e.to_string())?;
    // A footer that cannot be read is damage; a missing one means an older file.
    footer.statement()?;
    if stated.is_some() && !is_intact(bytes) {
        return Err("its bytes are not those that were written".to_owned());
    }
    let groups = footer.group_rows();
    let mut content = Content::default();
    let (mut at, mut sum) = (0, RowChecksum::default());
    let mut open: Option<(Metric, Vec<Point>)> = None;
    let reader = Reader::new(object.clone(), bytes.clone()).map_err(|e| e.to_string())?;
    for batch in reader {
        let batch = batch.map_err(|error| error.to_string())?;
        for (metric, mut points) in batch.series() {
            match &mut open {
                Some((known, before)) if known == metric => before.extend_from_slice(points),
                _ => {
                    if open.as_ref().is_some_and(|(known, _)| known > metric) {
                        return Err(format!("{metric} follows a later metric"));
                    }
                    content.take(open.take(), span_of(key), with_rollups)?;
                    open = Some((metric.clone(), points.to_vec()));
                }
            }
            // The reader's batches know no row groups.
            while let Some(&rows) = groups.get(at) {
                let room = usize::try_from(rows - sum.rows()).unwrap_or(usize::MAX);
                let (some, rest) = points.split_at(points.len().min(room));
                sum.push(metric, some);
                points = rest;
                if sum.rows() == rows {
                    let found = std::mem::take(&mut sum).finish();
                    if stated.is_some_and(|stated| stated.groups.get(at) != Some(&found)) {
                        return Err(format!("row group {at} holds other rows than it states"));
                    }
                    at += 1;
                }
                if points.is_empty() {
                    break;
                }
            }
        }
    }
    content.take(open, span_of(key), with_rollups)?;
    if at != groups.len() || stated.is_some_and(|stated| stated.groups.len() != at) {
        return Err("it holds fewer rows than it states".to_owned());
    }
    content.is_whole = true;
    Ok(content)
}

/// Content salvaged from a damaged file.
fn salvaged(rows: &Rows, within: Span) -> Content {
    let mut content = Content::default();
    for (metric, points) in rows.series() {
        // Nothing that was written lies outside; rows in memory are sorted.
        let taken = content.take(Some((metric.clone(), points.to_vec())), within, false);
        if let Err(reason) = taken {
            tracing::warn!(%metric, reason, "left out of a damaged object");
        }
    }
    content
}

impl Content {
    fn take(
        &mut self,
        series: Option<(Metric, Vec<Point>)>,
        within: Span,
        with_rollups: bool,
    ) -> Result<(), String> {
        let Some((metric, points)) = series else {
            return Ok(());
        };
        if points.windows(2).any(|pair| pair[0].ts >= pair[1].ts) {
            return Err(format!("{metric} is repeated or out of order"));
        }
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Ok(());
        };
        if first.ts < within.from || last.ts > within.to {
            return Err(format!(
                "{metric} has samples of another time than its key names"
            ));
        }
        if with_rollups {
            for hour in points.chunk_by(|a, b| a.ts.hour() == b.ts.hour()) {
                let at = (metric.clone(), hour[0].ts.hour());
                self.hours
                    .insert(at, HourChecksum::from_points(&metric, hour));
            }
            let rollups = rollups(&points).map(|rollup| (metric.clone(), rollup));
            self.rollups.extend(rollups);
        }
        let span = self.span.get_or_insert(Span {
            from: first.ts,
            to: last.ts,
        });
        span.from = span.from.min(first.ts);
        span.to = span.to.max(last.ts);
        self.row_count += i64::try_from(points.len()).unwrap_or(i64::MAX);
        self.metrics.insert(metric);
        Ok(())
    }
}
