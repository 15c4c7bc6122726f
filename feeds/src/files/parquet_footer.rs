//! Bounds of a Parquet file's footer, checked before anything is built of it: the parquet crate
//! builds the schema recursively, as deep as the file claims.
//!
//! The footer is a `FileMetaData` in Thrift's compact protocol
//! (<https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::thrift::{Cursor, I16, I64, LIST, STOP};

/// Bytes of a footer; one of a million row groups is smaller.
const MAX_FOOTER_BYTES: u64 = 64 << 20;
/// Columns are at the top; those of other tools lie a few levels deep.
const MAX_DEPTH: usize = 32;
const MAX_SCHEMA_ELEMENTS: usize = 10_000;
/// The length of the footer, and `PAR1`.
const TAIL_BYTES: u64 = 8;

/// `FileMetaData.schema` and `SchemaElement.num_children`.
const SCHEMA: i64 = 2;
const NUM_CHILDREN: i64 = 5;

/// Refuses a footer whose schema is too large or too deep; where there is none is for others to
/// say.
pub(super) fn check(file: &mut File) -> Result<(), String> {
    let Some(footer) = read(file).map_err(|error| error.to_string())? else {
        return Ok(());
    };
    let footer = footer.map_err(|bytes| {
        format!("expected a footer of at most {MAX_FOOTER_BYTES} bytes, got {bytes}")
    })?;
    schema(&mut Cursor { rest: &footer })
        .unwrap_or_else(|| Err("expected a footer with a readable schema".to_owned()))
}

type Footer = Result<Vec<u8>, u64>;

/// The footer's bytes, or how many there would be too many; none where there is no footer.
fn read(file: &mut File) -> std::io::Result<Option<Footer>> {
    let length = file.seek(SeekFrom::End(0))?;
    let Some(tail_at) = length.checked_sub(TAIL_BYTES) else {
        return Ok(None);
    };
    let mut tail = [0; 8];
    file.seek(SeekFrom::Start(tail_at))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic != *b"PAR1" {
        return Ok(None);
    }
    let bytes = u64::from(u32::from_le_bytes([a, b, c, d]));
    if bytes > MAX_FOOTER_BYTES {
        return Ok(Some(Err(bytes)));
    }
    let Some(start) = tail_at.checked_sub(bytes) else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(start))?;
    let mut footer = Vec::new();
    file.take(bytes).read_to_end(&mut footer)?;
    Ok(Some(Ok(footer)))
}

/// Walks the schema; `None` where it makes no sense.
fn schema(cursor: &mut Cursor<'_>) -> Option<Result<(), String>> {
    let mut id = 0;
    loop {
        let kind = cursor.field(&mut id)?;
        if id == SCHEMA && kind == LIST {
            break;
        }
        cursor.skip(kind)?;
    }
    let (count, _) = cursor.list()?;
    if count > MAX_SCHEMA_ELEMENTS {
        let problem =
            format!("expected a schema of at most {MAX_SCHEMA_ELEMENTS} fields, got {count}");
        return Some(Err(problem));
    }
    // Children that are still to come, of each group that is open.
    let mut open: Vec<u64> = Vec::new();
    for _ in 0..count {
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        let children = children(cursor)?;
        if children > 0 {
            open.push(children);
        }
        if open.len() > MAX_DEPTH {
            let problem = format!("expected a schema of at most {MAX_DEPTH} levels");
            return Some(Err(problem));
        }
    }
    Some(Ok(()))
}

/// Number of children of a schema's element.
fn children(cursor: &mut Cursor<'_>) -> Option<u64> {
    let (mut id, mut children) = (0, 0);
    loop {
        match cursor.field(&mut id)? {
            STOP => return Some(children),
            kind if id == NUM_CHILDREN && (I16..=I64).contains(&kind) => {
                children = u64::try_from(cursor.zigzag()?).unwrap_or(0);
            }
            kind => cursor.skip(kind)?,
        }
    }
}
