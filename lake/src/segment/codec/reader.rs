//! Reader of a Parquet file of samples, batch by batch.

use std::sync::Arc;

use arrow::datatypes::{Field, Int8Type, Int64Type, Schema, SchemaRef, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use marketlake_model::Millis;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use super::columns::{MetricColumn, primitive};
use super::footer::Footer;
use super::read_value;
use super::writer::dictionary;
use crate::error::LakeError;
use crate::segment::rows::Rows;
use crate::span::Point;
use crate::storage::object::Object;

/// Rows that are decoded at once: what two dozen files side by side hold in memory stays small.
pub(crate) const BATCH_ROWS: usize = 1 << 13;

/// Reads the rows of a file in its order. Bytes are taken as they are: see
/// [`Store::read`](crate::storage::store::Store).
pub(crate) struct Reader {
    object: Object,
    batches: ParquetRecordBatchReader,
    names: MetricColumn,
}

impl Reader {
    pub(crate) fn new(object: Object, bytes: Bytes) -> Result<Self, LakeError> {
        let footer = Footer::read(&object, &bytes)?;
        Self::part(object, &footer, bytes, None, BATCH_ROWS)
    }

    /// The rows of one row group, or of all, decoded in batches.
    pub(crate) fn part(
        object: Object,
        footer: &Footer,
        bytes: Bytes,
        group: Option<usize>,
        batch_rows: usize,
    ) -> Result<Self, LakeError> {
        let batches =
            open(footer, bytes, batch_rows, group, None).map_err(|error| object.corrupt(error))?;
        Ok(Self {
            object,
            batches,
            names: MetricColumn::default(),
        })
    }

    fn read(&mut self, batch: &RecordBatch) -> Result<Rows, String> {
        let times = primitive::<TimestampMillisecondType>(batch, "ts")?.values();
        let unscaled = primitive::<Int64Type>(batch, "unscaled")?.values();
        let scales = primitive::<Int8Type>(batch, "scale")?.values();
        let mut rows = Rows::default();
        let mut points = Vec::new();
        self.names.runs(batch, |metric, start, end| {
            points.clear();
            for row in start..end {
                points.push(Point {
                    ts: Millis(times[row]).minute(),
                    value: read_value(unscaled[row], scales[row])?,
                });
            }
            rows.extend(metric, &points);
            Ok(())
        })?;
        Ok(rows)
    }
}

impl Iterator for Reader {
    type Item = Result<Rows, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = match self.batches.next()? {
            Ok(batch) => self.read(&batch),
            Err(error) => Err(error.to_string()),
        };
        Some(rows.map_err(|reason| self.object.corrupt(reason)))
    }
}

/// Opens a file, or a row group of it, or its first columns; its metrics as a dictionary.
pub(super) fn open(
    footer: &Footer,
    bytes: Bytes,
    batch_rows: usize,
    group: Option<usize>,
    first_columns: Option<usize>,
) -> parquet::errors::Result<ParquetRecordBatchReader> {
    let plain = footer.arrow();
    let options = ArrowReaderOptions::new().with_schema(with_dictionary(plain.schema()));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options)?;
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata)
        .with_batch_size(batch_rows);
    if let Some(group) = group {
        builder = builder.with_row_groups(vec![group]);
    }
    if let Some(columns) = first_columns {
        let projection = ProjectionMask::roots(builder.parquet_schema(), 0..columns);
        builder = builder.with_projection(projection);
    }
    builder.build()
}

fn with_dictionary(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if field.name() == "metric" {
            Arc::new(Field::new("metric", dictionary(), field.is_nullable()))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
