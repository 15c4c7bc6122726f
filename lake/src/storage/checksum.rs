//! Checksums of objects: detect damaged bytes.
//!
//! Parquet's writer leaves page checksums out, so the catalog keeps one for each 64 KiB of an
//! object: a read of any range is widened to whole blocks and checked.

use std::ops::Range;

use bytes::Bytes;
use marketlake_common::hex;
use sha2::{Digest, Sha256};

/// Bytes under one checksum.
const BLOCK_BYTES: u64 = 1 << 16;
const CRC_BYTES: usize = 4;

/// Size and checksums of a written object.
#[derive(Clone, Debug)]
pub(crate) struct Checksums {
    pub(crate) byte_count: i64,
    /// SHA-256, in hexadecimal.
    pub(crate) sha256: String,
    /// CRC-32 of each block, little endian.
    pub(crate) crcs: Vec<u8>,
}

impl Checksums {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let block = usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX);
        let crcs = bytes
            .chunks(block)
            .flat_map(|block| crc32fast::hash(block).to_le_bytes());
        Self {
            byte_count: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            sha256: sha256(bytes),
            crcs: crcs.collect(),
        }
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The whole blocks that hold a range of an object.
pub(crate) fn widened(range: &Range<u64>, byte_count: u64) -> Range<u64> {
    let start = range.start / BLOCK_BYTES * BLOCK_BYTES;
    start
        ..range
            .end
            .div_ceil(BLOCK_BYTES)
            .saturating_mul(BLOCK_BYTES)
            .min(byte_count)
}

/// Checks bytes that begin at a block's start.
pub(crate) fn check(crcs: &[u8], start: u64, bytes: &Bytes) -> Result<(), String> {
    let block = usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX);
    let first = usize::try_from(start / BLOCK_BYTES).unwrap_or(usize::MAX);
    let mut expected = crcs.chunks(CRC_BYTES).skip(first);
    for (index, block) in bytes.chunks(block).enumerate() {
        if expected.next() != Some(&crc32fast::hash(block).to_le_bytes()[..]) {
            let at = start
                + u64::try_from(index)
                    .unwrap_or(u64::MAX)
                    .saturating_mul(BLOCK_BYTES);
            return Err(format!(
                "damaged: the bytes from {at} on are not those that were written"
            ));
        }
    }
    Ok(())
}
