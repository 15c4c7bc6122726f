//! Rollups: one row a metric and hour.
//!
//! Columns: `metric STRING`, `hour TIMESTAMP(ms, UTC)`, `count INT32`, `mean DOUBLE`, `m2 DOUBLE` (sum of squared differences from the
//! mean), and of `min`, `max`, `first` and `last` each `X_unscaled INT64` and `X_scale INT8`. Sorted by (metric, hour).

use std::mem;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, Float64Array, Int8Array, Int32Array, Int64Array, RecordBatch,
    TimestampMillisecondArray,
};
use arrow::datatypes::{
    DataType, Field, Float64Type, Int8Type, Int32Type, Int64Type, Schema, SchemaRef,
    TimestampMillisecondType,
};
use bytes::Bytes;
use marketlake_entities::records::segments::Tier;
use marketlake_entities::{Exact, Metric, Millis, Minute};
use parquet::arrow::ArrowWriter;
use parquet::basic::Encoding;
use parquet::schema::types::ColumnPath;

use super::columns::{Names, primitive};
use super::read_value;
use super::reader::open;
use super::writer::{dictionary, metrics, properties, utc, writer};
use crate::LakeError;
use crate::moments::Moments;
use crate::object::Object;
use crate::rollup::Rollup;

const BATCH_ROWS: usize = 1 << 15;
/// The first columns: what a standard deviation needs.
const MOMENTS: usize = 5;
/// The first columns: when there is a sample at all.
const HOURS: usize = 2;
const VALUES: [&str; 4] = ["min", "max", "first", "last"];

/// The columns of rollups, as they are read.
pub(crate) static ROLLUP_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| schema(DataType::Utf8));
static DICTIONARY_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| schema(dictionary()));

fn schema(metric: DataType) -> SchemaRef {
    let mut fields = vec![
        Field::new("metric", metric, false),
        Field::new("hour", utc(), false),
        Field::new("count", DataType::Int32, false),
        Field::new("mean", DataType::Float64, false),
        Field::new("m2", DataType::Float64, false),
    ];
    for value in VALUES {
        fields.push(Field::new(
            format!("{value}_unscaled"),
            DataType::Int64,
            false,
        ));
        fields.push(Field::new(format!("{value}_scale"), DataType::Int8, false));
    }
    Arc::new(Schema::new(fields))
}

/// Writes one file of rollups.
pub(crate) struct RollupWriter {
    inner: ArrowWriter<Vec<u8>>,
    names: Vec<Metric>,
    keys: Vec<i32>,
    rows: Vec<Rollup>,
}

impl RollupWriter {
    pub(crate) fn new(tier: Tier) -> Result<Self, LakeError> {
        let column = |name: String| ColumnPath::from(name);
        let mut properties = properties(tier)?;
        for name in ["mean", "m2"] {
            properties = properties
                .set_column_dictionary_enabled(column(name.to_owned()), false)
                .set_column_encoding(column(name.to_owned()), Encoding::BYTE_STREAM_SPLIT);
        }
        properties = properties
            .set_column_dictionary_enabled(column("hour".to_owned()), false)
            .set_column_encoding(column("hour".to_owned()), Encoding::DELTA_BINARY_PACKED);
        for value in VALUES {
            let name = column(format!("{value}_unscaled"));
            properties = properties.set_column_dictionary_enabled(name.clone(), false);
            properties = properties.set_column_encoding(name, Encoding::PLAIN);
        }
        Ok(Self {
            inner: writer(&DICTIONARY_SCHEMA, properties.build())?,
            names: Vec::new(),
            keys: Vec::new(),
            rows: Vec::new(),
        })
    }

    pub(crate) fn push(
        &mut self,
        metric: &Metric,
        rollups: impl Iterator<Item = Rollup>,
    ) -> Result<(), LakeError> {
        if self.names.last() != Some(metric) {
            self.names.push(metric.clone());
        }
        let key = i32::try_from(self.names.len() - 1).unwrap_or(i32::MAX);
        self.rows.extend(rollups);
        self.keys.resize(self.rows.len(), key);
        if self.rows.len() >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LakeError> {
        let (names, keys) = (mem::take(&mut self.names), mem::take(&mut self.keys));
        let rows = mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let count = |row: &Rollup| i32::try_from(row.moments.count).unwrap_or(i32::MAX);
        let hours = rows.iter().map(|row| row.hour.start().0);
        let mut columns: Vec<ArrayRef> = vec![
            metrics(keys, &names)?,
            Arc::new(TimestampMillisecondArray::from_iter_values(hours).with_timezone("UTC")),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(count))),
            Arc::new(Float64Array::from_iter_values(
                rows.iter().map(|row| row.moments.mean),
            )),
            Arc::new(Float64Array::from_iter_values(
                rows.iter().map(|row| row.moments.m2),
            )),
        ];
        let values: [fn(&Rollup) -> Exact; 4] = [
            |row| row.min,
            |row| row.max,
            |row| row.first,
            |row| row.last,
        ];
        for value in values {
            let unscaled = rows.iter().map(|row| value(row).unscaled());
            let scale = rows.iter().map(|row| value(row).scale());
            columns.push(Arc::new(Int64Array::from_iter_values(unscaled)));
            columns.push(Arc::new(Int8Array::from_iter_values(scale)));
        }
        let batch = RecordBatch::try_new(Arc::clone(&DICTIONARY_SCHEMA), columns)?;
        Ok(self.inner.write(&batch)?)
    }

    pub(crate) fn finish(mut self) -> Result<Bytes, LakeError> {
        self.flush()?;
        Ok(self.inner.into_inner()?.into())
    }
}

/// Calls for each run of rollups of one metric with their hours and moments.
pub(crate) fn read_moments(
    object: &Object,
    bytes: Bytes,
    mut visit: impl FnMut(&Metric, &[(Minute, Moments)]),
) -> Result<(), LakeError> {
    let mut run = Vec::new();
    each_batch(object, bytes, Some(MOMENTS), |names, batch| {
        let hours = primitive::<TimestampMillisecondType>(batch, "hour")?.values();
        let counts = primitive::<Int32Type>(batch, "count")?.values();
        let means = primitive::<Float64Type>(batch, "mean")?.values();
        let m2s = primitive::<Float64Type>(batch, "m2")?.values();
        names.runs(batch, |metric, start, end| {
            run.clear();
            run.extend((start..end).map(|row| {
                let moments = Moments {
                    count: u32::try_from(counts[row]).unwrap_or(0),
                    mean: means[row],
                    m2: m2s[row],
                };
                (Millis(hours[row]).minute(), moments)
            }));
            visit(metric, &run);
            Ok(())
        })
    })
}

/// Calls for each run of rollups of one metric with their hours.
pub(crate) fn read_hours(
    object: &Object,
    bytes: Bytes,
    mut visit: impl FnMut(&Metric, &[Minute]),
) -> Result<(), LakeError> {
    let mut run = Vec::new();
    each_batch(object, bytes, Some(HOURS), |names, batch| {
        let hours = primitive::<TimestampMillisecondType>(batch, "hour")?.values();
        names.runs(batch, |metric, start, end| {
            run.clear();
            run.extend(hours[start..end].iter().map(|&hour| Millis(hour).minute()));
            visit(metric, &run);
            Ok(())
        })
    })
}

/// A rollup and whose it is.
pub(crate) type RollupRow = (Metric, Rollup);

/// All rollups of a file, by (metric, hour).
pub(crate) fn read_rollups(object: &Object, bytes: Bytes) -> Result<Vec<RollupRow>, LakeError> {
    let mut rollups = Vec::new();
    each_batch(object, bytes, None, |names, batch| {
        names.runs(batch, |metric, start, end| {
            for row in start..end {
                rollups.push((metric.clone(), rollup_of_row(batch, row)?));
            }
            Ok(())
        })
    })?;
    Ok(rollups)
}

/// A rollup, from a row that has all columns.
pub(crate) fn rollup_of_row(batch: &RecordBatch, row: usize) -> Result<Rollup, String> {
    let value = |name: &str| {
        let unscaled = primitive::<Int64Type>(batch, &format!("{name}_unscaled"))?.value(row);
        let scale = primitive::<Int8Type>(batch, &format!("{name}_scale"))?.value(row);
        read_value(unscaled, scale)
    };
    let count = primitive::<Int32Type>(batch, "count")?.value(row);
    let hour = primitive::<TimestampMillisecondType>(batch, "hour")?.value(row);
    Ok(Rollup {
        hour: Millis(hour).minute(),
        moments: Moments {
            count: u32::try_from(count).unwrap_or(0),
            mean: primitive::<Float64Type>(batch, "mean")?.value(row),
            m2: primitive::<Float64Type>(batch, "m2")?.value(row),
        },
        min: value("min")?,
        max: value("max")?,
        first: value("first")?,
        last: value("last")?,
    })
}

fn each_batch(
    object: &Object,
    bytes: Bytes,
    first_columns: Option<usize>,
    mut visit: impl FnMut(&mut Names, &RecordBatch) -> Result<(), String>,
) -> Result<(), LakeError> {
    let batches = open(bytes, BATCH_ROWS, None, first_columns)
        .map_err(|error| object.corrupt(error.to_string()))?;
    let mut names = Names::default();
    for batch in batches {
        let batch = batch.map_err(|error| object.corrupt(error.to_string()))?;
        visit(&mut names, &batch).map_err(|reason| object.corrupt(reason))?;
    }
    Ok(())
}
