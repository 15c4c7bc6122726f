//! Tables as Arrow (IPC streaming format) and as Parquet.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::{Table, Values};

pub(super) fn arrow(table: &Table) -> Result<Vec<u8>, ArrowError> {
    let batch = batch(table)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    writer.into_inner()
}

pub(super) fn parquet(table: &Table) -> Result<Vec<u8>, ParquetError> {
    let batch = batch(table)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.into_inner()
}

fn batch(table: &Table) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for column in &table.columns {
        let name = column.name.to_owned();
        match &column.values {
            Values::Text(values) => {
                columns.push((name, Arc::new(StringArray::from_iter_values(values))));
            }
            Values::Time(values) => {
                let times = values.iter().map(|minute| minute.start().0);
                let times = TimestampMillisecondArray::from_iter_values(times);
                columns.push((name, Arc::new(times.with_timezone("UTC"))));
            }
            Values::Exact(values) => {
                let floats = values.iter().map(|value| value.to_f64());
                let unscaled = values.iter().map(|value| value.unscaled());
                let scale = values.iter().map(|value| value.scale());
                columns.push((name, Arc::new(Float64Array::from_iter_values(floats))));
                let unscaled = Arc::new(Int64Array::from_iter_values(unscaled));
                columns.push(("unscaled".to_owned(), unscaled));
                let scale = Arc::new(Int8Array::from_iter_values(scale));
                columns.push(("scale".to_owned(), scale));
            }
            Values::Number(values) => {
                let floats = values.iter().map(|value| value.to_f64());
                columns.push((name, Arc::new(Float64Array::from_iter_values(floats))));
            }
            Values::Float(values) => {
                columns.push((name, Arc::new(Float64Array::from(values.clone()))));
            }
            Values::Count(values) => {
                let counts = UInt64Array::from_iter_values(values.iter().copied());
                columns.push((name, Arc::new(counts)));
            }
        }
    }
    RecordBatch::try_from_iter(columns)
}
