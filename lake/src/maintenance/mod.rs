//! Maintenance: vacuum, check and repair, and the rebuild of a lost catalog.

pub(crate) mod check;
pub(crate) mod rebuild;
pub(crate) mod vacuum;
