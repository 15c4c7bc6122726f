//! Object as the catalog describes it: key, size, checksums.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use marketlake_common::BoxError;
use marketlake_entities::records::segments::Model;

use crate::error::LakeError;
use crate::storage::checksum;

/// Key, size and checksums of an object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) path: String,
    pub(crate) byte_count: u64,
    /// Checksums of its blocks; those of lakes that are older than checksums have none.
    crcs: Option<Arc<[u8]>>,
}

impl Object {
    /// The samples of a segment.
    pub(crate) fn samples(segment: &Model) -> Self {
        Self::new(&segment.path, segment.byte_count, segment.crcs.as_deref())
    }

    /// The rollups of a segment.
    pub(crate) fn rollups(segment: &Model) -> Option<Self> {
        let (path, byte_count) = (segment.rollup_path.as_ref()?, segment.rollup_byte_count?);
        Some(Self::new(path, byte_count, segment.rollup_crcs.as_deref()))
    }

    /// Rows that were put aside on the local disk.
    pub(crate) fn temporary(byte_count: u64) -> Self {
        Self {
            path: "a temporary file".to_owned(),
            byte_count,
            crcs: None,
        }
    }

    /// An object of which the catalog knows nothing.
    pub(crate) fn unlisted(path: &str, bytes: &Bytes) -> Self {
        Self {
            path: path.to_owned(),
            byte_count: bytes.len() as u64,
            crcs: None,
        }
    }

    /// Returns whether it has checksums.
    pub(crate) fn is_checked(&self) -> bool {
        self.crcs.is_some()
    }

    fn new(path: &str, byte_count: i64, crcs: Option<&[u8]>) -> Self {
        Self {
            path: path.to_owned(),
            byte_count: u64::try_from(byte_count).unwrap_or(0),
            crcs: crcs.map(Into::into),
        }
    }

    /// The error that says what is wrong with it.
    pub(crate) fn corrupt(&self, reason: impl Into<BoxError>) -> LakeError {
        LakeError::Corrupt {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// The range that must be read so that it can be checked.
    pub(crate) fn widened(&self, range: &Range<u64>) -> Range<u64> {
        match self.crcs {
            Some(_) => checksum::widened(range, self.byte_count),
            None => range.clone(),
        }
    }

    /// Checks bytes that were read from a [widened](Self::widened) range.
    pub(crate) fn check(&self, start: u64, bytes: &Bytes) -> Result<(), String> {
        match &self.crcs {
            Some(crcs) => checksum::check(crcs, start, bytes),
            None => Ok(()),
        }
    }

    /// Returns whether checksums confirm some ranges of the object, which was read whole.
    pub(crate) fn are_written(&self, bytes: &Bytes, ranges: Vec<Range<u64>>) -> bool {
        let Some(crcs) = &self.crcs else {
            return false;
        };
        let length = bytes.len() as u64;
        length == self.byte_count
            && ranges.into_iter().all(|range| {
                let wide = checksum::widened(&range, self.byte_count);
                let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
                range.start <= range.end
                    && range.end <= length
                    && checksum::check(crcs, wide.start, &bytes.slice(at(wide.start)..at(wide.end)))
                        .is_ok()
            })
    }

    /// Checks the whole object.
    pub(crate) fn check_whole(&self, bytes: &Bytes) -> Result<(), LakeError> {
        let length = bytes.len() as u64;
        if length != self.byte_count {
            let expected = self.byte_count;
            return Err(self.corrupt(format!("{length} bytes, the catalog says {expected}")));
        }
        self.check(0, bytes).map_err(|reason| self.corrupt(reason))
    }
}
