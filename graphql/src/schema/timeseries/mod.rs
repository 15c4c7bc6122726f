//! Samples by time.

mod asked;
mod query;
mod types;

pub(super) use asked::{SeriesAsked, TransformInput};
pub(super) use query::TimeseriesQuery;
pub(super) use types::{AggregateName, Sample, Timeseries};
