//! Rollups: one row a metric and hour.
//!
//! Columns: `metric STRING`, `hour TIMESTAMP(ms, UTC)`, `count INT32`, `mean DOUBLE`, `m2 DOUBLE`
//! (sum of squared differences from the mean), of `min`, `max`, `first` and `last` each `X_unscaled
//! INT64` and `X_scale INT8`, and `rows_crc32 INT32`, the checksum of the hour's rows
//! ([`RowChecksum`]), which files of older versions lack. Sorted by (metric, hour).

use std::collections::BTreeMap;
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
use marketlake_model::{Exact, Metric, Millis, Minute};
use parquet::arrow::ArrowWriter;
use parquet::basic::Encoding;
use parquet::file::properties::EnabledStatistics;
use parquet::schema::types::ColumnPath;

use super::columns::{MetricColumn, primitive};
use super::footer::Footer;
use super::read_value;
use super::reader::open;
use super::writer::{append, dictionary, metrics, properties, utc, writer};
use crate::error::LakeError;
use crate::segment::moments::Moments;
use crate::segment::rollup::{Rollup, rollups};
use crate::segment::statement::{RowChecksum, Statement, seal};
use crate::span::Point;
use crate::storage::object::Object;

const BATCH_ROWS: usize = 1 << 15;
/// The first columns: what a standard deviation needs.
const MOMENTS: usize = 5;
/// The first columns: when there is a sample at all.
const HOURS: usize = 2;
const VALUES: [&str; 4] = ["min", "max", "first", "last"];
const ROWS_CRC: &str = "rows_crc32";

/// Columns of rollups that queries read.
pub(crate) static ROLLUP_SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(fields(DataType::Utf8))));
static DICTIONARY_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = fields(dictionary());
    fields.push(Field::new(ROWS_CRC, DataType::Int32, false));
    Arc::new(Schema::new(fields))
});

fn fields(metric: DataType) -> Vec<Field> {
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
    fields
}

/// Writes one file of rollups.
pub(crate) struct RollupWriter {
    inner: ArrowWriter<Vec<u8>>,
    names: Vec<Metric>,
    keys: Vec<i32>,
    rows: Vec<Rollup>,
    sums: Vec<i32>,
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
        let sums = column(ROWS_CRC.to_owned());
        properties = properties
            .set_column_dictionary_enabled(sums.clone(), false)
            .set_column_statistics_enabled(sums.clone(), EnabledStatistics::None)
            .set_column_encoding(sums, Encoding::PLAIN);
        Ok(Self {
            inner: writer(&DICTIONARY_SCHEMA, properties.build())?,
            names: Vec::new(),
            keys: Vec::new(),
            rows: Vec::new(),
            sums: Vec::new(),
        })
    }

    /// Takes one metric's samples, in the order of time.
    pub(crate) fn push(&mut self, metric: &Metric, points: &[Point]) -> Result<(), LakeError> {
        if self.names.last() != Some(metric) {
            self.names.push(metric.clone());
        }
        let key = i32::try_from(self.names.len() - 1).unwrap_or(i32::MAX);
        self.rows.extend(rollups(points));
        for hour in points.chunk_by(|a, b| a.ts.hour() == b.ts.hour()) {
            self.sums
                .push(RowChecksum::of_rows(metric, hour).cast_signed());
        }
        self.keys.resize(self.rows.len(), key);
        if self.rows.len() >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LakeError> {
        let (names, keys) = (mem::take(&mut self.names), mem::take(&mut self.keys));
        let rows = mem::take(&mut self.rows);
        let sums = mem::take(&mut self.sums);
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
        columns.push(Arc::new(Int32Array::from(sums)));
        let batch = RecordBatch::try_new(Arc::clone(&DICTIONARY_SCHEMA), columns)?;
        Ok(self.inner.write(&batch)?)
    }

    pub(crate) fn finish(mut self, statement: &Statement) -> Result<Bytes, LakeError> {
        self.flush()?;
        append(&mut self.inner, statement)?;
        seal(self.inner.into_inner()?)
    }
}

/// Calls for each run of rollups of one metric with them; where `moments_only`, min, max, first and
/// last are zero.
pub(crate) fn for_each_rollup(
    object: &Object,
    bytes: Bytes,
    moments_only: bool,
    mut visit: impl FnMut(&Metric, &[Rollup]),
) -> Result<(), LakeError> {
    let mut run = Vec::new();
    let first_columns = moments_only.then_some(MOMENTS);
    for_each_batch(object, bytes, first_columns, |names, batch| {
        let rows = RollupRows::new(batch)?;
        names.runs(batch, |metric, start, end| {
            run.clear();
            for row in start..end {
                run.push(rows.rollup(row)?);
            }
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
    for_each_batch(object, bytes, Some(HOURS), |names, batch| {
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
    for_each_rollup(object, bytes, false, |metric, rows| {
        rollups.extend(rows.iter().map(|row| (metric.clone(), *row)));
    })?;
    Ok(rollups)
}

/// Rows of one metric's hour, as a file of rollups states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HourChecksum {
    pub(crate) count: u32,
    pub(crate) crc: u32,
}

/// Counts and checksums of rows, by metric and hour.
pub(crate) type HourChecksums = BTreeMap<(Metric, Minute), HourChecksum>;

/// Counts and checksums of the rows that a file of rollups sums up; `None` of a file without
/// checksums.
pub(crate) fn read_hour_checksums(
    object: &Object,
    bytes: Bytes,
) -> Result<Option<HourChecksums>, LakeError> {
    let mut sums = BTreeMap::new();
    let mut stated = true;
    for_each_batch(object, bytes, None, |names, batch| {
        if batch.column_by_name(ROWS_CRC).is_none() {
            stated = false;
            return Ok(());
        }
        let crcs = primitive::<Int32Type>(batch, ROWS_CRC)?.values();
        let counts = primitive::<Int32Type>(batch, "count")?.values();
        let hours = primitive::<TimestampMillisecondType>(batch, "hour")?.values();
        names.runs(batch, |metric, start, end| {
            for row in start..end {
                let sum = HourChecksum {
                    count: u32::try_from(counts[row]).unwrap_or(0),
                    crc: crcs[row].cast_unsigned(),
                };
                sums.insert((metric.clone(), Millis(hours[row]).minute()), sum);
            }
            Ok(())
        })
    })?;
    Ok(stated.then_some(sums))
}

/// The columns of a batch.
pub(crate) struct RollupRows<'a> {
    hours: &'a [i64],
    counts: &'a [i32],
    means: &'a [f64],
    m2s: &'a [f64],
    /// Unscaled and scale of min, max, first and last; none where only the first columns were read.
    values: Vec<(&'a [i64], &'a [i8])>,
}

impl<'a> RollupRows<'a> {
    pub(crate) fn new(batch: &'a RecordBatch) -> Result<Self, String> {
        let mut values = Vec::new();
        if batch.num_columns() > MOMENTS {
            for name in VALUES {
                let unscaled = primitive::<Int64Type>(batch, &format!("{name}_unscaled"))?;
                let scale = primitive::<Int8Type>(batch, &format!("{name}_scale"))?;
                values.push((&unscaled.values()[..], &scale.values()[..]));
            }
        }
        Ok(Self {
            hours: primitive::<TimestampMillisecondType>(batch, "hour")?.values(),
            counts: primitive::<Int32Type>(batch, "count")?.values(),
            means: primitive::<Float64Type>(batch, "mean")?.values(),
            m2s: primitive::<Float64Type>(batch, "m2")?.values(),
            values,
        })
    }

    pub(crate) fn rollup(&self, row: usize) -> Result<Rollup, String> {
        let mut values = [Exact::ZERO; VALUES.len()];
        for (value, (unscaled, scale)) in values.iter_mut().zip(&self.values) {
            *value = read_value(unscaled[row], scale[row])?;
        }
        let [min, max, first, last] = values;
        Ok(Rollup {
            hour: Millis(self.hours[row]).minute(),
            moments: Moments {
                count: u32::try_from(self.counts[row]).unwrap_or(0),
                mean: self.means[row],
                m2: self.m2s[row],
            },
            min,
            max,
            first,
            last,
        })
    }
}

fn for_each_batch(
    object: &Object,
    bytes: Bytes,
    first_columns: Option<usize>,
    mut visit: impl FnMut(&mut MetricColumn, &RecordBatch) -> Result<(), String>,
) -> Result<(), LakeError> {
    let footer = Footer::read(object, &bytes)?;
    let batches = open(&footer, bytes, BATCH_ROWS, None, first_columns)
        .map_err(|error| object.corrupt(error))?;
    let mut names = MetricColumn::default();
    for batch in batches {
        let batch = batch.map_err(|error| object.corrupt(error))?;
        visit(&mut names, &batch).map_err(|reason| object.corrupt(reason))?;
    }
    Ok(())
}
