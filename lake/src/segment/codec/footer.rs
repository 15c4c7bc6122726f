//! Footer of a Parquet file: its row groups, and the statement that the file carries.

use std::ops::Range;

use bytes::Bytes;
use marketlake_model::Millis;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use crate::error::LakeError;
use crate::segment::statement::Statement;
use crate::storage::object::Object;
use crate::storage::paths::ObjectKey;

/// Length of the magic number and of the footer's length, behind the footer.
const TAIL_BYTES: usize = 8;

/// A footer that could be read.
pub(crate) struct Footer {
    metadata: ArrowReaderMetadata,
}

impl Footer {
    /// Reads the footer of a whole file.
    pub(crate) fn read(object: &Object, bytes: &Bytes) -> Result<Self, LakeError> {
        let metadata = ArrowReaderMetadata::load(bytes, ArrowReaderOptions::new())
            .map_err(|error| object.corrupt(error))?;
        Ok(Self { metadata })
    }

    pub(super) fn arrow(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }

    /// Statement that the file carries; `None` for a file of an older version.
    pub(crate) fn statement(&self) -> Result<Option<Statement>, String> {
        let file = self.metadata.metadata().file_metadata();
        Statement::read(file.key_value_metadata())
    }

    /// Rows of a row group, as the footer states them.
    pub(crate) fn group_rows(&self) -> Vec<u64> {
        let groups = self.metadata.metadata().row_groups().iter();
        groups
            .map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
            .collect()
    }

    /// Bytes that the rows of a row group are read from: its columns and the footer.
    pub(crate) fn bytes_of_group(&self, group: usize, bytes: &Bytes) -> Vec<Range<u64>> {
        let columns = self.metadata.metadata().row_group(group).columns().iter();
        let mut ranges: Vec<Range<u64>> = columns
            .map(|column| {
                let (start, length) = column.byte_range();
                start..start.saturating_add(length)
            })
            .collect();
        let tail = bytes.len().saturating_sub(TAIL_BYTES);
        let length = bytes.get(tail..tail + 4).and_then(|l| l.try_into().ok());
        let length = u32::from_le_bytes(length.unwrap_or_default());
        let end = bytes.len() as u64;
        ranges.push((tail as u64).saturating_sub(u64::from(length))..end);
        ranges
    }
}

/// Logical write time of an object: what it states, else when its key was made.
pub(crate) fn written(object: &Object, bytes: &Bytes) -> Result<Option<Millis>, LakeError> {
    let stated = Footer::read(object, bytes)?.statement().ok().flatten();
    let key = || ObjectKey::parse(&object.path).map(|key| key.created_at());
    Ok(stated.map(|stated| stated.written()).or_else(key))
}
