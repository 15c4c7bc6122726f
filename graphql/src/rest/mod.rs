//! The REST routes that scripts have called for years; shapes as they always were.

pub(crate) mod metrics;
mod parameters;
mod problem;
pub(crate) mod rank;
mod rows;
pub(crate) mod timeseries;

pub(crate) use problem::{Problem, not_found};
