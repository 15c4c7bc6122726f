//! Conversion of DataFusion's record batches to points and metrics.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int8Type, Int64Type, TimestampMillisecondType};
use marketlake_model::{Metric, Millis};

use crate::error::LakeError;
use crate::segment::codec::read_value;
use crate::span::Point;

/// Rows sorted by (metric, ts), as one series a metric.
pub(super) fn series(batches: &[RecordBatch]) -> Result<Vec<(Metric, Vec<Point>)>, LakeError> {
    let mut all: Vec<(Metric, Vec<Point>)> = Vec::new();
    for batch in batches {
        let ids = text(batch, "metric")?;
        let rows = PointRows::new(batch)?;
        for row in 0..batch.num_rows() {
            let id = ids.as_string::<i32>().value(row);
            if all.last().is_none_or(|(metric, _)| metric.id() != id) {
                all.push((metric_at(&ids, row)?, Vec::new()));
            }
            if let Some((_, points)) = all.last_mut() {
                points.push(rows.point(row)?);
            }
        }
    }
    Ok(all)
}

pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, LakeError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| LakeError::Query(format!("no column {name} in the answer").into()))
}

pub(super) fn text(batch: &RecordBatch, name: &str) -> Result<ArrayRef, LakeError> {
    Ok(cast(column(batch, name)?, &DataType::Utf8)?)
}

pub(super) fn metric_at(ids: &ArrayRef, row: usize) -> Result<Metric, LakeError> {
    let id = ids.as_string::<i32>().value(row);
    id.parse()
        .map_err(|_| LakeError::Query(format!("{id} is no metric").into()))
}

/// The columns of points, looked up once a batch.
pub(super) struct PointRows<'a> {
    times: &'a [i64],
    unscaled: &'a [i64],
    scales: &'a [i8],
}

impl<'a> PointRows<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Result<Self, LakeError> {
        Ok(Self {
            times: column(batch, "ts")?
                .as_primitive::<TimestampMillisecondType>()
                .values(),
            unscaled: column(batch, "unscaled")?
                .as_primitive::<Int64Type>()
                .values(),
            scales: column(batch, "scale")?.as_primitive::<Int8Type>().values(),
        })
    }

    pub(super) fn point(&self, row: usize) -> Result<Point, LakeError> {
        let value = read_value(self.unscaled[row], self.scales[row]);
        Ok(Point {
            ts: Millis(self.times[row]).minute(),
            value: value.map_err(|error| LakeError::Query(error.into()))?,
        })
    }
}
