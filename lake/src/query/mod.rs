//! Queries: the engines, the last 24 hours in memory, rankings, statistics and transforms.

pub(crate) mod bucket;
pub(crate) mod engine;
mod export;
pub(crate) mod listing;
pub(crate) mod memory;
pub(crate) mod ranking;
pub(crate) mod service;
pub(crate) mod statistic;
pub(crate) mod transform;
