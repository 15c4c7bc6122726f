//! Resolution of a unit: the objects that hold exactly the rows that were written last.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use marketlake_entities::records::segments::{Model, Origin, Tier};
use marketlake_model::{Metric, Millis, Minute};
use object_store::path::Path;
use tokio::task::spawn_blocking;

use super::Scope;
use super::file::{File, Role};
use super::unit::Unit;
use crate::catalog::metrics::FirstCommits;
use crate::catalog::segments;
use crate::error::LakeError;
use crate::maintenance::Maintenance;
use crate::maintenance::rebuild::FeedParts;
use crate::segment::codec::{BATCH_ROWS, HourChecksums};
use crate::segment::encode::Encoder;
use crate::segment::merge::{Merge, Row};
use crate::segment::verify::hour_checksums;
use crate::span::Span;
use crate::storage::object::Object;
use crate::storage::paths::{ObjectKey, ObjectKind};

/// Objects that are read at the same time.
const CONCURRENCY: usize = 8;
/// Rows of all sources together that are decoded at once, about.
const MAX_DECODED_ROWS: usize = 1 << 18;
const MIN_BATCH_ROWS: usize = 1 << 8;

/// Outcome of a unit.
pub(super) struct Resolution {
    pub(super) files: Vec<File>,
    /// Files of rollups that the catalog lacks.
    pub(super) rollups: Vec<RollupFile>,
    /// Live segments whose object is gone.
    pub(super) missing: Vec<Model>,
    /// The live segments that were there.
    pub(super) live: Vec<i64>,
    pub(super) tally: Tally,
    /// Those of the files that are to be live; `None` where a new segment must be written.
    pub(super) chosen: Option<Vec<usize>>,
}

/// An object of rollups that the catalog lacks.
pub(super) struct RollupFile {
    pub(super) key: ObjectKey,
    pub(super) object: Object,
    pub(super) bytes: Bytes,
    /// Key of the samples that it states.
    pub(super) samples: Option<String>,
}

/// Counts over the rows of some files.
#[derive(Clone, Default)]
pub(super) struct Tally {
    /// Rows that were written last.
    pub(super) rows: i64,
    by_minute: BTreeMap<Minute, i64>,
    /// Those of them that no live segment has.
    pub(super) added: i64,
    /// Those whose value no live segment has.
    pub(super) corrected: i64,
    /// Those that only a replaced segment has.
    pub(super) restored: i64,
    /// Rows later than now.
    pub(super) future: i64,
    /// Minutes, and their parts, of rows that no live segment has, and that were ingested.
    pub(super) ingested: BTreeSet<(Minute, i32)>,
    /// Metrics with rows, and their first commits as far as the rows tell.
    pub(super) metrics: BTreeMap<Metric, FirstCommits>,
    /// Whether one of the rows is not to be live, by file.
    loses: Vec<bool>,
    /// Whether one of the rows is later than now, by file.
    pub(super) is_early: Vec<bool>,
    /// Whether two files have a row in common, by both.
    shares: Vec<bool>,
}

/// Order of several values of one (metric, ts): which was written last.
#[derive(Clone, Copy)]
struct Stamp {
    written: Millis,
    base: Option<Millis>,
    created: Millis,
    role: Order,
    /// Whether it is an ingest's own object.
    is_ingested: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Unlisted,
    Live,
    Replaced,
}

impl Maintenance<'_> {
    /// Reads the objects of a unit and finds out which rows were written last.
    pub(super) async fn resolve_unit(
        self,
        unit: &Unit,
        keys: &[ObjectKey],
        scope: &Scope<'_>,
    ) -> Result<Resolution, LakeError> {
        let segments = segments::live(self.lake.database(), unit.span()).await?;
        let rollups = self.read_rollup_files(keys).await?;
        let stated: HashMap<String, HourChecksums> = rollups
            .iter()
            .filter_map(|file| {
                let sums = hour_checksums(&file.object, file.bytes.clone())?;
                Some((file.samples.clone()?, sums))
            })
            .collect();
        let live = segments.iter().map(|segment| segment.id).collect();
        let mut missing = Vec::new();
        let mut files = Vec::new();
        for segment in segments {
            let hours = self.stated_hours(&segment).await?;
            let (mut broken, path) = (true, segment.path.clone());
            match (ObjectKey::parse(&path), self.read_if_present(&path).await?) {
                (Some(key), Some(bytes)) => {
                    let object = Object::samples(&segment);
                    let role = Role::Live(Box::new(segment.clone()));
                    let file = File::new(key, role, object, bytes, hours.as_ref());
                    broken = !file.content.is_whole;
                    files.push(file);
                }
                (None, Some(_)) => {
                    let object = Object::samples(&segment);
                    return Err(object.corrupt("its key is of another version"));
                }
                (_, None) => missing.push(segment.clone()),
            }
            if broken {
                files.extend(self.replaced_files(&segment).await?);
            }
        }
        let samples = keys.iter().filter(|key| key.kind == ObjectKind::Samples);
        let read = stream::iter(samples.copied()).map(|key| async move {
            let path = key.to_string();
            let bytes = self.read_if_present(&path).await?;
            Ok::<_, LakeError>(bytes.map(|bytes| (key, path, bytes)))
        });
        let read: Vec<_> = read.buffered(CONCURRENCY).try_collect().await?;
        for (key, path, bytes) in read.into_iter().flatten() {
            let object = Object::unlisted(&path, &bytes);
            let hours = stated.get(&path);
            files.push(File::new(key, Role::Unlisted, object, bytes, hours));
        }
        let (now, parts) = (scope.now, scope.adoption.parts());
        let (files, tally) = spawn_blocking(move || {
            let tally = tally(&files, now, parts.as_ref())?;
            Ok::<_, LakeError>((files, tally))
        })
        .await
        .map_err(|error| LakeError::Encode(error.into()))??;
        let chosen = choose(&files, &tally);
        Ok(Resolution {
            files,
            rollups,
            missing,
            live,
            tally,
            chosen,
        })
    }

    /// `None` where the object is gone.
    async fn read_if_present(self, path: &str) -> Result<Option<Bytes>, LakeError> {
        match self.lake.store().read_unchecked(&Path::from(path)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(LakeError::Store(object_store::Error::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read_rollup_files(self, keys: &[ObjectKey]) -> Result<Vec<RollupFile>, LakeError> {
        let mut files = Vec::new();
        for key in keys.iter().filter(|key| key.kind == ObjectKind::Rollups) {
            let path = key.to_string();
            let Some(bytes) = self.read_if_present(&path).await? else {
                continue;
            };
            let object = Object::unlisted(&path, &bytes);
            let samples = super::file::statement(&object, &bytes);
            files.push(RollupFile {
                key: *key,
                object,
                bytes,
                samples: samples.ok().flatten().and_then(|stated| stated.samples),
            });
        }
        Ok(files)
    }

    /// Segments that a broken one had replaced, those that are whole.
    async fn replaced_files(self, segment: &Model) -> Result<Vec<File>, LakeError> {
        let mut files = Vec::new();
        for replaced in segments::replaced_by(self.lake.database(), segment).await? {
            let object = Object::samples(&replaced);
            if let (Some(key), Some(bytes)) = (
                ObjectKey::parse(&replaced.path),
                self.read_if_present(&replaced.path).await?,
            ) {
                let file = File::new(key, Role::Replaced, object, bytes, None);
                files.extend(file.content.is_whole.then_some(file));
            }
        }
        Ok(files)
    }
}

impl Stamp {
    fn new(file: &File) -> Self {
        Self {
            written: file.written,
            base: file.base,
            created: file.key.created_at(),
            role: match file.role {
                Role::Unlisted => Order::Unlisted,
                Role::Live(_) => Order::Live,
                Role::Replaced => Order::Replaced,
            },
            is_ingested: file.key.tier == Tier::Raw && file.origin == Origin::Ingest,
        }
    }

    /// Write time of a row's value, as far as the files tell: of one that an older source
    /// of its file has already, not later than the newest of those.
    fn effective(self, row: &Row, same: &[Row], stamps: &[Self]) -> Millis {
        let Some(base) = self.base else {
            return self.written;
        };
        let is_old = same.iter().any(|other| {
            other.source != row.source
                && other.point.value == row.point.value
                && stamps[other.source].written <= base
        });
        if is_old { base } else { self.written }
    }
}

/// The row of one (metric, ts) that was written last.
fn newest<'a>(same: &'a [Row], stamps: &[Stamp]) -> Option<&'a Row> {
    same.iter().max_by_key(|row| {
        let stamp = stamps[row.source];
        let effective = stamp.effective(row, same, stamps);
        (effective, stamp.written, stamp.created)
    })
}

fn merge(files: &[File]) -> Result<(Merge, Vec<Stamp>), LakeError> {
    let batch_rows = (MAX_DECODED_ROWS / files.len().max(1)).clamp(MIN_BATCH_ROWS, BATCH_ROWS);
    let sources = files.iter().map(|file| file.source(batch_rows));
    let merge = Merge::new(sources.collect::<Result<_, _>>()?, Vec::new())?;
    Ok((merge, files.iter().map(Stamp::new).collect()))
}

fn tally(files: &[File], now: Millis, parts: &dyn FeedParts) -> Result<Tally, LakeError> {
    let (mut merge, stamps) = merge(files)?;
    let count = files.len();
    let mut tally = Tally {
        loses: vec![false; count],
        is_early: vec![false; count],
        shares: vec![false; count * count],
        ..Tally::default()
    };
    let mut rows = Vec::new();
    let newest_minute = now.minute();
    while let Some(metric) = merge.next_rows(&mut rows)? {
        let mut commits: Option<FirstCommits> = None;
        let (is_of_feed, part) = (parts.ingests(&metric), parts.part_of(&metric));
        for same in rows.chunk_by(|a, b| a.point.ts == b.point.ts) {
            let Some(newest) = newest(same, &stamps) else {
                continue;
            };
            if newest.point.ts > newest_minute {
                tally.future += 1;
                for row in same {
                    tally.loses[row.source] = true;
                    tally.is_early[row.source] = true;
                }
                continue;
            }
            let is_certain = same.iter().any(|row| stamps[row.source].is_ingested);
            let is_ingested = is_of_feed || is_certain;
            let written = same.iter().map(|row| stamps[row.source].written).min();
            let first = commits.get_or_insert(FirstCommits {
                created_at: now,
                recorded_at: None,
                is_certain: false,
            });
            first.created_at = first.created_at.min(written.unwrap_or(now));
            // A feed's minute is committed after its end.
            let ended = newest.point.ts.plus(1).start();
            first.recorded_at = first.recorded_at.or(is_ingested.then_some(ended));
            first.is_certain |= is_certain;
            tally.take(newest, same, &stamps, part.filter(|_| is_ingested));
        }
        if let Some(commits) = commits {
            tally.metrics.insert(metric, commits);
        }
    }
    Ok(tally)
}

impl Tally {
    /// Number of rows in a span.
    pub(super) fn rows_in(&self, span: Span) -> i64 {
        let in_span = self.by_minute.range(span.from..=span.to);
        in_span.map(|(_, rows)| rows).sum()
    }

    fn take(&mut self, newest: &Row, same: &[Row], stamps: &[Stamp], part: Option<i32>) {
        self.rows += 1;
        *self.by_minute.entry(newest.point.ts).or_default() += 1;
        let count = stamps.len();
        let (mut live, mut unlisted) = (None, false);
        for row in same {
            let equal = row.point.value == newest.point.value;
            self.loses[row.source] |= !equal;
            match stamps[row.source].role {
                Order::Live => live = Some(live == Some(true) || equal),
                Order::Unlisted => unlisted |= equal,
                Order::Replaced => (),
            }
            for other in same {
                self.shares[row.source * count + other.source] |= row.source != other.source;
            }
        }
        if live != Some(true) && !unlisted {
            self.restored += 1;
        } else if live == Some(false) {
            self.corrected += 1;
        } else if live.is_none() {
            self.added += 1;
        }
        if let (None, Some(part)) = (live, part) {
            self.ingested.insert((newest.point.ts, part));
        }
    }
}

/// Files that hold every row once and no other: those that are live already where that will do,
/// else the widest and newest first.
fn choose(files: &[File], tally: &Tally) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..files.len())
        .filter(|&at| files[at].may_be_live() && !tally.loses[at])
        .filter(|&at| files[at].content.row_count > 0)
        .collect();
    let live = order.iter().copied().filter(|&at| !files[at].is_unlisted());
    if let Some(chosen) = cover(live, files, tally) {
        return Some(chosen);
    }
    order.sort_by_key(|&at| {
        let file = &files[at];
        std::cmp::Reverse((file.key.tier, file.written, file.key.created_at()))
    });
    cover(order.into_iter(), files, tally)
}

fn cover(
    candidates: impl Iterator<Item = usize>,
    files: &[File],
    tally: &Tally,
) -> Option<Vec<usize>> {
    let count = files.len();
    let mut chosen: Vec<usize> = Vec::new();
    for at in candidates {
        if !chosen.iter().any(|&other| tally.shares[at * count + other]) {
            chosen.push(at);
        }
    }
    let rows: i64 = chosen.iter().map(|&at| files[at].content.row_count).sum();
    (rows == tally.rows).then_some(chosen)
}

/// Encodes the rows that were written last.
pub(super) fn encode(files: &[File], tier: Tier, now: Millis) -> Result<Encoder, LakeError> {
    let (mut merge, stamps) = merge(files)?;
    let mut encoder = Encoder::new(tier)?;
    let (mut rows, mut points) = (Vec::new(), Vec::new());
    let newest_minute = now.minute();
    while let Some(metric) = merge.next_rows(&mut rows)? {
        points.clear();
        for same in rows.chunk_by(|a, b| a.point.ts == b.point.ts) {
            let newest = newest(same, &stamps).map(|row| row.point);
            points.extend(newest.filter(|point| point.ts <= newest_minute));
        }
        encoder.push(&metric, &points)?;
    }
    Ok(encoder)
}
