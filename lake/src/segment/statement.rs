//! Statement that a segment's files carry in their own Parquet metadata, so that their rows can be
//! verified without the catalog: [`STATEMENT`] holds it as JSON, [`CHECKSUM`] the CRC-32 of that
//! text in hexadecimal.

use std::ops::Range;

use bytes::Bytes;
use marketlake_entities::records::segments::{Origin, Tier};
use marketlake_model::{Metric, Millis};
use parquet::file::metadata::KeyValue;
use serde::{Deserialize, Serialize};

use crate::error::LakeError;
use crate::span::Point;

const STATEMENT: &str = "marketlake.segment";
const CHECKSUM: &str = "marketlake.segment.crc32";
/// CRC-32 of the whole file, in hexadecimal; summed up with zeros in its own place.
const FILE_CHECKSUM: &str = "marketlake.file.crc32";
const NO_CHECKSUM: &str = "00000000";
/// Bytes between a key and its value of 8 bytes in the footer: the field's type and the length.
const BEFORE_VALUE: [u8; 2] = [0x18, 0x08];
/// Length of the footer's length and the magic number, behind the footer.
const TAIL_BYTES: usize = 8;
/// Version of the layout of rows, checksums and statement.
const FORMAT: u32 = 1;
/// Longest statement that is read: a file has a few row groups.
const MAX_BYTES: usize = 1 << 20;

/// Content of a file, as its writer states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statement {
    format: u32,
    tier: String,
    origin: String,
    /// Logical write time of its newest row, in milliseconds.
    written: i64,
    /// Write time of its newest source: rows that are not new are at most this new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<i64>,
    /// Rows and their CRC-32, by row group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) groups: Vec<(u64, u32)>,
    /// Key of the samples that a file of rollups sums up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) samples: Option<String>,
}

impl Statement {
    /// Statement about samples, without the row groups, which are known at the file's end.
    pub(crate) fn for_samples(
        tier: Tier,
        origin: Origin,
        created: Millis,
        base: Option<Millis>,
    ) -> Self {
        let written = match (origin, base) {
            // Old rows only: as new as the newest of them.
            (Origin::Compact, Some(base)) => base,
            // The clock of another host may be ahead.
            (_, Some(base)) => created.max(Millis(base.0.saturating_add(1))),
            (_, None) => created,
        };
        Self {
            format: FORMAT,
            tier: word(&tier),
            origin: word(&origin),
            written: written.0,
            base: base.map(|base| base.0),
            groups: Vec::new(),
            samples: None,
        }
    }

    /// Statement about rollups.
    pub(crate) fn for_rollups(tier: Tier, samples: &str, created: Millis) -> Self {
        Self {
            samples: Some(samples.to_owned()),
            ..Self::for_samples(tier, Origin::Compact, created, None)
        }
    }

    /// Origin that its writer gave the file.
    pub(crate) fn origin(&self) -> Option<Origin> {
        sea_orm::ActiveEnum::try_from_value(&self.origin).ok()
    }

    /// Logical write time of the newest row: later than that of every source, where there are new
    /// rows.
    pub(crate) fn written(&self) -> Millis {
        Millis(self.written)
    }

    /// Write time of the newest source of rows that are not new.
    pub(crate) fn base(&self) -> Option<Millis> {
        self.base.map(Millis)
    }

    /// Metadata entries that hold it.
    pub(crate) fn entries(&self) -> Result<[KeyValue; 3], serde_json::Error> {
        let text = serde_json::to_string(self)?;
        let checksum = format!("{:08x}", crc32fast::hash(text.as_bytes()));
        Ok([
            KeyValue::new(STATEMENT.to_owned(), text),
            KeyValue::new(CHECKSUM.to_owned(), checksum),
            KeyValue::new(FILE_CHECKSUM.to_owned(), NO_CHECKSUM.to_owned()),
        ])
    }

    /// Statement in a file's metadata. `None` where there is none, as in files of older versions;
    /// an error where it is damaged.
    pub(crate) fn read(entries: Option<&Vec<KeyValue>>) -> Result<Option<Self>, String> {
        let value = |key: &str| {
            let mut found = entries.into_iter().flatten();
            found
                .find(|entry| entry.key == key)
                .and_then(|entry| entry.value.as_deref())
        };
        let (text, checksum) = match (value(STATEMENT), value(CHECKSUM)) {
            (None, None) => return Ok(None),
            (Some(text), Some(checksum)) if text.len() <= MAX_BYTES => (text, checksum),
            _ => return Err("the statement in its metadata is incomplete".to_owned()),
        };
        if format!("{:08x}", crc32fast::hash(text.as_bytes())) != checksum {
            return Err("the statement in its metadata is not the one that was written".to_owned());
        }
        let read: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if read.format != FORMAT {
            return Err(format!(
                "expected format {FORMAT}, found {}: a newer version wrote it",
                read.format
            ));
        }
        Ok(Some(read))
    }

    /// Rows of all groups.
    pub(crate) fn row_count(&self) -> u64 {
        self.groups.iter().map(|(rows, _)| rows).sum()
    }
}

/// Puts the checksum of a file that carries a statement into its footer.
pub(crate) fn seal(mut file: Vec<u8>) -> Result<Bytes, LakeError> {
    let at = place_of_checksum(&file);
    let at = at.ok_or_else(|| LakeError::Encode("no place for the checksum".into()))?;
    let checksum = format!("{:08x}", crc32fast::hash(&file));
    file[at.clone()].copy_from_slice(checksum.as_bytes());
    Ok(file.into())
}

/// Returns whether a file that carries a statement matches its checksum.
pub(crate) fn is_intact(file: &Bytes) -> bool {
    let Some(at) = place_of_checksum(file) else {
        return false;
    };
    let mut crc = crc32fast::Hasher::new();
    crc.update(&file[..at.start]);
    crc.update(NO_CHECKSUM.as_bytes());
    crc.update(&file[at.end..]);
    format!("{:08x}", crc.finalize()).as_bytes() == &file[at]
}

fn place_of_checksum(file: &[u8]) -> Option<Range<usize>> {
    let tail = file.len().checked_sub(TAIL_BYTES)?;
    let length = u32::from_le_bytes(file.get(tail..tail + 4)?.try_into().ok()?);
    let start = tail.checked_sub(usize::try_from(length).ok()?)?;
    let key = FILE_CHECKSUM.as_bytes();
    let mut places = file[start..tail].windows(key.len());
    let found = places.rposition(|bytes| bytes == key)?;
    let before = start + found + key.len();
    let at = before + BEFORE_VALUE.len();
    let is_there = file.get(before..at)? == BEFORE_VALUE;
    (is_there && at + NO_CHECKSUM.len() <= tail).then(|| at..at + NO_CHECKSUM.len())
}

fn word<E: sea_orm::ActiveEnum<Value = String>>(value: &E) -> String {
    value.to_value()
}

/// CRC-32 of rows in the order of a file: for each run of a metric the length of its id as `u32`
/// and the id; for each row `ts` in milliseconds as `i64`, `unscaled` as `i64` and `scale` as `i8`,
/// little endian, the value in its canonical form.
#[derive(Default)]
pub(crate) struct RowChecksum {
    crc: crc32fast::Hasher,
    last: Option<Metric>,
    rows: u64,
}

/// Bytes of one row.
const ROW_BYTES: usize = 17;

impl RowChecksum {
    /// Checksum of one metric's rows.
    pub(crate) fn of_rows(metric: &Metric, points: &[Point]) -> u32 {
        let mut sum = Self::default();
        sum.push(metric, points);
        sum.finish().1
    }

    /// Takes rows in.
    pub(crate) fn push(&mut self, metric: &Metric, points: &[Point]) {
        if points.is_empty() {
            return;
        }
        if self.last.as_ref() != Some(metric) {
            let id = metric.id().as_bytes();
            let length = u32::try_from(id.len()).unwrap_or(u32::MAX);
            self.crc.update(&length.to_le_bytes());
            self.crc.update(id);
            self.last = Some(metric.clone());
        }
        let mut bytes = Vec::with_capacity(points.len() * ROW_BYTES);
        for Point { ts, value } in points {
            bytes.extend(ts.start().0.to_le_bytes());
            bytes.extend(value.unscaled().to_le_bytes());
            bytes.extend(value.scale().to_le_bytes());
        }
        self.crc.update(&bytes);
        self.rows += points.len() as u64;
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows and their checksum.
    pub(crate) fn finish(self) -> (u64, u32) {
        (self.rows, self.crc.finalize())
    }
}
