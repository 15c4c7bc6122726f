//! Columns of a batch by their names and types, and the metrics in them.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type};
use marketlake_model::Metric;

pub(super) fn primitive<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a PrimitiveArray<T>, String> {
    batch
        .column_by_name(name)
        .ok_or_else(|| format!("no column {name}"))?
        .as_primitive_opt::<T>()
        .ok_or_else(|| format!("{name} is no {}", T::DATA_TYPE))
}

/// The metrics of one batch after the other; names that stay are read once.
#[derive(Default)]
pub(super) struct MetricColumn {
    values: Option<ArrayRef>,
    metrics: Vec<Option<Metric>>,
}

impl MetricColumn {
    /// Calls for each run of rows of one metric: the metric, the first row, and the one behind the
    /// last.
    pub(super) fn runs(
        &mut self,
        batch: &RecordBatch,
        mut visit: impl FnMut(&Metric, usize, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        let column = batch.column_by_name("metric").ok_or("no column metric")?;
        let dictionary = column
            .as_dictionary_opt::<Int32Type>()
            .ok_or("metric is no string")?;
        self.enter(dictionary.values())?;
        let keys = dictionary.keys().values();
        let mut start = 0;
        for run in keys.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            let key = usize::try_from(run[0]).unwrap_or(usize::MAX);
            let metric = self.metric(key)?;
            visit(metric, start, end)?;
            start = end;
        }
        Ok(())
    }

    fn enter(&mut self, values: &ArrayRef) -> Result<(), String> {
        let same = |old: &ArrayRef| {
            let (old, new) = (old.as_string::<i32>(), values.as_string::<i32>());
            old.len() == new.len()
                && std::ptr::eq(old.value_data().as_ptr(), new.value_data().as_ptr())
        };
        if values.as_string_opt::<i32>().is_none() {
            return Err("metric is no string".to_owned());
        }
        if !self.values.as_ref().is_some_and(same) {
            self.metrics.clear();
            self.metrics.resize(values.len(), None);
            self.values = Some(ArrayRef::clone(values));
        }
        Ok(())
    }

    fn metric(&mut self, key: usize) -> Result<&Metric, String> {
        let place = self.metrics.get_mut(key).ok_or("a metric without a name")?;
        if place.is_none() {
            let values = self.values.as_ref().ok_or("a metric without a name")?;
            let id = values.as_string::<i32>().value(key);
            *place = Some(id.parse::<Metric>().map_err(|error| error.to_string())?);
        }
        place
            .as_ref()
            .ok_or_else(|| "a metric without a name".to_owned())
    }
}
