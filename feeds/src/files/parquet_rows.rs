//! Parquet: columns `metric` (text), `ts` (a timestamp, or epoch milliseconds) and `value`
//! (DECIMAL, text, or DOUBLE, which is read by its shortest decimal); or, as the lake itself keeps
//! them, `unscaled` and `scale` in place of `value`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Float64Type, Int8Type, Int32Type, Int64Type, Schema, TimeUnit,
    TimestampMillisecondType,
};
use marketlake_model::{Exact, Millis, Sample};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use super::names::Names;
use super::{
    FileError, FileOptions, Samples, check_minute, check_sign, parquet_footer, parquet_pages,
    unreadable,
};

const BATCH_ROWS: usize = 1 << 16;
const COLUMNS: [&str; 5] = ["metric", "ts", "value", "unscaled", "scale"];
/// Below it, a float's shortest decimal is the one of 15 digits that reads back as the float.
const FIFTEEN_DIGITS: f64 = 1e15;

pub(super) fn read(path: &Path, options: &FileOptions) -> Result<Samples, FileError> {
    let unusable = |error: &dyn std::error::Error| FileError::Unusable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let refuse = |reason: String| FileError::Unusable {
        path: path.to_owned(),
        reason,
    };
    parquet_footer::check(&mut file).map_err(&refuse)?;
    let plain = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|error| unusable(&error))?;
    parquet_pages::check(&mut file, plain.metadata(), &COLUMNS).map_err(&refuse)?;
    let options_with_names = ArrowReaderOptions::new().with_schema(names_once(plain.schema()));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options_with_names)
        .map_err(|error| unusable(&error))?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let wanted = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let batches = builder
        .with_projection(wanted)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| unusable(&error))?;
    let (path, options) = (path.to_owned(), options.clone());
    let mut names = Names::new(options.market.clone());
    let mut line = 0;
    let samples = batches.flat_map(move |batch| match batch {
        Err(error) => vec![Err(unreadable(&path, &error))],
        Ok(batch) => match Columns::of(&batch) {
            Err(reason) => vec![Err(FileError::Unusable {
                path: path.clone(),
                reason,
            })],
            Ok(columns) => {
                let row = |row| {
                    line += 1;
                    let sample = columns.sample(row, &mut names, &options);
                    sample.map_err(|reason| FileError::Line {
                        path: path.clone(),
                        line,
                        reason,
                    })
                };
                (0..batch.num_rows()).map(row).collect()
            }
        },
    });
    Ok(Box::new(samples))
}

/// Text as a dictionary, so that a name is read once a batch.
fn names_once(schema: &Schema) -> Arc<Schema> {
    let dictionary = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let fields = schema.fields().iter().map(|field| {
        if field.name() == "metric" && *field.data_type() == DataType::Utf8 {
            Arc::new(Field::new("metric", dictionary(), field.is_nullable()))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

struct Columns {
    metric: ArrayRef,
    ts: ArrayRef,
    value: Values,
}

enum Values {
    Text(ArrayRef),
    Decimal(ArrayRef, i8),
    Double(ArrayRef),
    Unscaled(ArrayRef, ArrayRef),
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, String> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| format!("no column {name}: expected metric, ts and value"))
        };
        let as_type = |name: &str, wanted: &DataType| {
            let column = column(name)?;
            cast(column, wanted).map_err(|error| format!("{name}: {error}"))
        };
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
        let value = match batch.column_by_name("value") {
            None => Values::Unscaled(
                as_type("unscaled", &DataType::Int64)?,
                as_type("scale", &DataType::Int8)?,
            ),
            Some(value) => match value.data_type() {
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale)
                | DataType::Decimal256(_, scale) => {
                    let wide = DataType::Decimal128(38, *scale);
                    Values::Decimal(as_type("value", &wide)?, *scale)
                }
                DataType::Float64 | DataType::Int64 | DataType::Int32 => {
                    Values::Double(as_type("value", &DataType::Float64)?)
                }
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                    Values::Text(as_type("value", &DataType::Utf8)?)
                }
                other => {
                    return Err(format!(
                        "value: expected DECIMAL, text or DOUBLE, got {other}"
                    ));
                }
            },
        };
        // A list would be cast to how it is printed.
        let names = column("metric")?.data_type();
        if !is_text(names) {
            return Err(format!("metric: expected text, got {names}"));
        }
        Ok(Self {
            metric: as_type("metric", &dictionary)?,
            ts: as_type("ts", &millis)?,
            value,
        })
    }

    fn sample(
        &self,
        row: usize,
        names: &mut Names,
        options: &FileOptions,
    ) -> Result<Sample, String> {
        let missing = |name: &str| format!("{name}: expected a value, got null");
        let ids = self.metric.as_dictionary::<Int32Type>();
        let key = ids.key(row).ok_or_else(|| missing("metric"))?;
        let metric = names.metric(ids.values().as_string::<i32>().value(key).as_bytes())?;
        let times = self.ts.as_primitive::<TimestampMillisecondType>();
        if times.is_null(row) {
            return Err(missing("ts"));
        }
        let time = Millis(times.value(row));
        let ts = check_minute(time, &time.to_string(), options)?;
        let value = self.value.at(row)?.ok_or_else(|| missing("value"))?;
        Ok(Sample {
            ts,
            value: check_sign("value", value, metric.measure())?,
            metric,
        })
    }
}

impl Values {
    fn at(&self, row: usize) -> Result<Option<Exact>, String> {
        let fits = |value: Option<Exact>, shown: &dyn std::fmt::Display| match value {
            Some(value) => Ok(Some(value)),
            None => Err(format!(
                "value: expected a decimal number that fits, got {shown}"
            )),
        };
        match self {
            Self::Text(texts) if texts.is_valid(row) => {
                let text = texts.as_string::<i32>().value(row);
                let value = text
                    .trim()
                    .parse()
                    .map_err(|error| format!("value: {error}"))?;
                Ok(Some(value))
            }
            Self::Decimal(numbers, scale) if numbers.is_valid(row) => {
                let number = numbers.as_primitive::<Decimal128Type>().value(row);
                fits(Exact::wide(number, i32::from(*scale)), &number)
            }
            Self::Double(numbers) if numbers.is_valid(row) => {
                let number = numbers.as_primitive::<Float64Type>().value(row);
                fits(shortest(number), &number)
            }
            Self::Unscaled(numbers, scales) if numbers.is_valid(row) && scales.is_valid(row) => {
                let number = numbers.as_primitive::<Int64Type>().value(row);
                let scale = scales.as_primitive::<Int8Type>().value(row);
                fits(Exact::new(number, scale), &number)
            }
            _ => Ok(None),
        }
    }
}

/// The shortest decimal that reads back as a float; first by trying few places, which is nearly
/// always enough.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 1e15")]
fn shortest(number: f64) -> Option<Exact> {
    let mut power = 1.0;
    for scale in 0..12_i8 {
        let scaled = (number * power).round();
        if scaled.abs() >= FIFTEEN_DIGITS {
            break;
        }
        if scaled / power == number {
            return Exact::new(scaled as i64, scale);
        }
        power *= 10.0;
    }
    Exact::shortest(number)
}
