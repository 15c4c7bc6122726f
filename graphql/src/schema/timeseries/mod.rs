//! Time series.

mod arguments;
mod query;
mod types;

pub(super) use arguments::{TimeseriesArgs, TransformInput};
pub(super) use query::TimeseriesQuery;
pub(super) use types::{AggregateName, Sample, Timeseries};
