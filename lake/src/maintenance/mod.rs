//! Maintenance: vacuum, check and repair, and the rebuild of a lost catalog.

pub(crate) mod check;
pub(crate) mod rebuild;
mod start_checks;
pub(crate) mod vacuum;
