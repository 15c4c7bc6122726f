//! Bounds of a Parquet file's pages, checked on their headers before any is unpacked: a header may
//! claim two gigabytes, and a few kilobytes may unpack to them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::thrift::{Cursor, I16, I64, STOP, STRUCT};

/// Bytes of one page, unpacked: it is held in memory. Writers make pages of 1 to 8 MiB.
const MAX_PAGE_BYTES: i64 = 64 << 20;
/// Bytes of a page's header, which may hold the least and the greatest value.
const MAX_PAGE_HEADER_BYTES: u64 = 1 << 20;

/// `PageHeader.uncompressed_page_size`, `.compressed_page_size`, and the two kinds of data pages
/// with their `num_values`.
const UNCOMPRESSED: i64 = 2;
const COMPRESSED: i64 = 3;
const DATA_PAGE: i64 = 5;
const DATA_PAGE_V2: i64 = 8;
const NUM_VALUES: i64 = 1;

/// Sizes in a page's header.
#[derive(Default)]
struct Page {
    header_bytes: u64,
    uncompressed: i64,
    compressed: i64,
    values: i64,
}

/// Refuses pages of the columns that are read which would unpack to more than may be held.
pub(super) fn check(
    file: &mut File,
    metadata: &ParquetMetaData,
    columns: &[&str],
) -> Result<(), String> {
    for group in metadata.row_groups() {
        for column in group.columns() {
            let top = column.column_path().parts().first();
            if top.is_some_and(|name| columns.contains(&name.as_str())) {
                check_column(file, column)?;
            }
        }
    }
    Ok(())
}

fn check_column(file: &mut File, column: &ColumnChunkMetaData) -> Result<(), String> {
    let name = column.column_path().string();
    let wrong = |what: &str| format!("the column {name}: expected {what}");
    let data = column.data_page_offset();
    let start = column
        .dictionary_page_offset()
        .map_or(data, |page| page.min(data));
    let bounds = (
        u64::try_from(start),
        u64::try_from(column.compressed_size()),
    );
    let (Ok(mut at), Ok(size)) = bounds else {
        return Err(wrong("pages that are within the file"));
    };
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let end = at.checked_add(size).filter(|end| *end <= length);
    let end = end.ok_or_else(|| wrong("pages that are within the file"))?;
    let mut values = 0_i64;
    while at < end && values < column.num_values() {
        let page = read(file, at, end).map_err(|error| error.to_string())?;
        let page = page.ok_or_else(|| wrong("page headers that can be read"))?;
        let sizes = (
            u64::try_from(page.compressed),
            (0..=MAX_PAGE_BYTES).contains(&page.uncompressed),
        );
        let (Ok(compressed), true) = sizes else {
            return Err(wrong(&format!(
                "pages of at most {MAX_PAGE_BYTES} bytes, got one of {}",
                page.uncompressed
            )));
        };
        values = values.saturating_add(page.values.max(0));
        at = at
            .saturating_add(page.header_bytes)
            .saturating_add(compressed);
    }
    Ok(())
}

fn read(file: &mut File, at: u64, end: u64) -> std::io::Result<Option<Page>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take((end - at).min(MAX_PAGE_HEADER_BYTES))
        .read_to_end(&mut bytes)?;
    let mut cursor = Cursor { rest: &bytes };
    let page = page(&mut cursor);
    let header_bytes = (bytes.len() - cursor.rest.len()) as u64;
    Ok(page.map(|page| Page {
        header_bytes,
        ..page
    }))
}

fn page(cursor: &mut Cursor<'_>) -> Option<Page> {
    let (mut id, mut page) = (0, Page::default());
    loop {
        match (cursor.field(&mut id)?, id) {
            (STOP, _) => return Some(page),
            (I16..=I64, UNCOMPRESSED) => page.uncompressed = cursor.zigzag()?,
            (I16..=I64, COMPRESSED) => page.compressed = cursor.zigzag()?,
            (STRUCT, DATA_PAGE | DATA_PAGE_V2) => page.values = num_values(cursor)?,
            (kind, _) => cursor.skip(kind)?,
        }
    }
}

fn num_values(cursor: &mut Cursor<'_>) -> Option<i64> {
    let (mut id, mut values) = (0, 0);
    loop {
        match (cursor.field(&mut id)?, id) {
            (STOP, _) => return Some(values),
            (I16..=I64, NUM_VALUES) => values = cursor.zigzag()?,
            (kind, _) => cursor.skip(kind)?,
        }
    }
}
