//! Writer of sorted series to a Parquet file.

use std::mem;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, DictionaryArray, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use marketlake_entities::records::segments::Tier;
use marketlake_model::{Exact, Metric};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::error::LakeError;
use crate::segment::statement::{RowChecksum, Statement, seal};
use crate::span::Point;

/// Rows a page: 273 metrics' hours.
const PAGE_ROWS: usize = 16_384;
/// 45 metrics' days: 5 % smaller than with a quarter of it.
const DAY_PAGE_ROWS: usize = 65_536;
const GROUP_ROWS: usize = 1 << 20;
/// Rows that are handed to the encoder at once.
const BATCH_ROWS: usize = 1 << 16;

/// The columns of every segment of samples, as they are read.
pub(crate) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| schema(DataType::Utf8));
/// The same, with the metric's name kept once.
static DICTIONARY_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| schema(dictionary()));

pub(super) fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

pub(super) fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn schema(metric: DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("metric", metric, false),
        Field::new("ts", utc(), false),
        Field::new("unscaled", DataType::Int64, false),
        Field::new("scale", DataType::Int8, false),
    ]))
}

/// Writes one file. Memory: what is encoded so far, and one batch.
pub(crate) struct Writer {
    inner: ArrowWriter<Vec<u8>>,
    batch: Batch,
    groups: Vec<(u64, u32)>,
    group: RowChecksum,
}

#[derive(Default)]
struct Batch {
    names: Vec<Metric>,
    keys: Vec<i32>,
    ts: Vec<i64>,
    unscaled: Vec<i64>,
    scale: Vec<i8>,
}

impl Writer {
    pub(crate) fn new(tier: Tier) -> Result<Self, LakeError> {
        let column = |name: &str| ColumnPath::from(name.to_owned());
        let properties = properties(tier)?
            .set_column_encoding(column("ts"), Encoding::DELTA_BINARY_PACKED)
            .set_column_dictionary_enabled(column("ts"), false)
            .set_column_encoding(column("unscaled"), Encoding::PLAIN)
            .set_column_dictionary_enabled(column("unscaled"), false)
            // No query filters by value without a metric.
            .set_column_statistics_enabled(column("unscaled"), EnabledStatistics::Chunk)
            .set_column_statistics_enabled(column("scale"), EnabledStatistics::Chunk)
            .build();
        Ok(Self {
            inner: writer(&DICTIONARY_SCHEMA, properties)?,
            batch: Batch::default(),
            groups: Vec::new(),
            group: RowChecksum::default(),
        })
    }

    /// Adds one metric's points, or some of them; metrics and times must rise.
    pub(crate) fn push(&mut self, metric: &Metric, points: &[Point]) -> Result<(), LakeError> {
        self.sum(metric, points);
        if self.batch.names.last() != Some(metric) {
            self.batch.names.push(metric.clone());
        }
        let key = i32::try_from(self.batch.names.len() - 1).unwrap_or(i32::MAX);
        self.batch.keys.extend(points.iter().map(|_| key));
        self.batch
            .ts
            .extend(points.iter().map(|point| point.ts.start().0));
        // One scale for all, which compresses best; a value that does not fit there keeps its own.
        let largest = points.iter().map(|point| point.value.scale()).max();
        let scale = largest.unwrap_or(0);
        for Point { value, .. } in points {
            let (number, scale) = at(*value, scale);
            self.batch.unscaled.push(number);
            self.batch.scale.push(scale);
        }
        if self.batch.keys.len() >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// Sums rows up by the row groups that the encoder makes.
    fn sum(&mut self, metric: &Metric, mut points: &[Point]) {
        while !points.is_empty() {
            let summed = usize::try_from(self.group.rows()).unwrap_or(GROUP_ROWS);
            let (some, rest) = points.split_at(points.len().min(GROUP_ROWS - summed));
            self.group.push(metric, some);
            if self.group.rows() >= GROUP_ROWS as u64 {
                self.groups.push(mem::take(&mut self.group).finish());
            }
            points = rest;
        }
    }

    fn flush(&mut self) -> Result<(), LakeError> {
        let batch = mem::take(&mut self.batch);
        if batch.keys.is_empty() {
            return Ok(());
        }
        let columns: Vec<ArrayRef> = vec![
            metrics(batch.keys, &batch.names)?,
            Arc::new(TimestampMillisecondArray::from(batch.ts).with_timezone("UTC")),
            Arc::new(Int64Array::from(batch.unscaled)),
            Arc::new(Int8Array::from(batch.scale)),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&DICTIONARY_SCHEMA), columns)?;
        Ok(self.inner.write(&batch)?)
    }

    /// A file that states nothing of itself: one that is no segment's.
    pub(crate) fn finish(mut self) -> Result<Bytes, LakeError> {
        self.flush()?;
        Ok(self.inner.into_inner()?.into())
    }

    /// A segment's file.
    pub(crate) fn finish_with_statement(
        mut self,
        mut statement: Statement,
    ) -> Result<Bytes, LakeError> {
        self.flush()?;
        self.inner.flush()?;
        if self.group.rows() > 0 {
            self.groups.push(mem::take(&mut self.group).finish());
        }
        let written = self.inner.flushed_row_groups().iter();
        let written = written.map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        if !written.eq(self.groups.iter().map(|(rows, _)| *rows)) {
            let reason = "the row groups are not those that were summed up";
            return Err(LakeError::Encode(reason.into()));
        }
        statement.groups = mem::take(&mut self.groups);
        append(&mut self.inner, &statement)?;
        seal(self.inner.into_inner()?)
    }
}

/// Puts a statement into a file's metadata.
pub(super) fn append(
    writer: &mut ArrowWriter<Vec<u8>>,
    statement: &Statement,
) -> Result<(), LakeError> {
    let entries = statement.entries();
    for entry in entries.map_err(|error| LakeError::Encode(error.into()))? {
        writer.append_key_value_metadata(entry);
    }
    Ok(())
}

fn at(value: Exact, scale: i8) -> (i64, i8) {
    match value.at_scale(scale) {
        Some(number) => (number, scale),
        None => (value.unscaled(), value.scale()),
    }
}

pub(super) fn metrics(keys: Vec<i32>, names: &[Metric]) -> Result<ArrayRef, LakeError> {
    let names = StringArray::from_iter_values(names.iter().map(Metric::id));
    let metrics = DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), Arc::new(names))?;
    Ok(Arc::new(metrics))
}

pub(super) fn properties(tier: Tier) -> Result<WriterPropertiesBuilder, LakeError> {
    // A raw file is read once more within the hour; an hour's within the day; a day's for years.
    let level = ZstdLevel::try_new(match tier {
        Tier::Raw => 1,
        Tier::Hour => 9,
        Tier::Day => 12,
    })?;
    let page = match tier {
        Tier::Raw | Tier::Hour => PAGE_ROWS,
        Tier::Day => DAY_PAGE_ROWS,
    };
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(true)
        .set_data_page_row_count_limit(page)
        .set_write_batch_size(page)
        .set_max_row_group_row_count(Some(GROUP_ROWS)))
}

pub(super) fn writer(
    schema: &SchemaRef,
    properties: WriterProperties,
) -> Result<ArrowWriter<Vec<u8>>, LakeError> {
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    Ok(ArrowWriter::try_new_with_options(
        Vec::new(),
        Arc::clone(schema),
        options,
    )?)
}
