//! Thrift's compact protocol, as far as Parquet's footer and page headers need it
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).

/// Depth of structs that are skipped; those of Parquet have four.
const MAX_SKIP_DEPTH: usize = 16;

pub(super) const STOP: u8 = 0;
const BOOLEAN_TRUE: u8 = 1;
const BOOLEAN_FALSE: u8 = 2;
const BYTE: u8 = 3;
pub(super) const I16: u8 = 4;
pub(super) const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
const SET: u8 = 10;
pub(super) const STRUCT: u8 = 12;

/// Bytes that are still to be read; each method returns `None` where they end, or make no sense.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl Cursor<'_> {
    /// The next field's type; its number goes to `id`.
    pub(super) fn field(&mut self, id: &mut i64) -> Option<u8> {
        let header = self.byte()?;
        if header == STOP {
            return Some(STOP);
        }
        match header >> 4 {
            0 => *id = self.zigzag()?,
            delta => *id = id.checked_add(i64::from(delta))?,
        }
        Some(header & 0x0f)
    }

    /// Number of items of a list, and their type.
    pub(super) fn list(&mut self) -> Option<(usize, u8)> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            count => usize::from(count),
        };
        Some((count, header & 0x0f))
    }

    /// Passes over a field's value.
    pub(super) fn skip(&mut self, kind: u8) -> Option<()> {
        self.skip_within(kind, MAX_SKIP_DEPTH)
    }

    fn skip_within(&mut self, kind: u8, depth: usize) -> Option<()> {
        let deeper = depth.checked_sub(1)?;
        match kind {
            BOOLEAN_TRUE | BOOLEAN_FALSE => (),
            BYTE => self.take(1)?,
            I16..=I64 => {
                self.varint()?;
            }
            DOUBLE => self.take(8)?,
            BINARY => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length)?;
            }
            LIST | SET => {
                let (count, kind) = self.list()?;
                for _ in 0..count {
                    match kind {
                        BOOLEAN_TRUE | BOOLEAN_FALSE => self.take(1)?,
                        kind => self.skip_within(kind, deeper)?,
                    }
                }
            }
            STRUCT => {
                let mut id = 0;
                loop {
                    match self.field(&mut id)? {
                        STOP => break,
                        kind => self.skip_within(kind, deeper)?,
                    }
                }
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        let half = i64::try_from(number >> 1).ok()?;
        Some(if number & 1 == 0 { half } else { -half - 1 })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<()> {
        self.rest = self.rest.get(length..)?;
        Some(())
    }
}
