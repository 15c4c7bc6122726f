//! Maintenance: vacuum, check and repair, and the rebuild of a lost catalog.

pub(crate) mod check;
pub(crate) mod rebuild;
mod start_checks;
pub(crate) mod vacuum;

use crate::lake::Lake;

/// Maintenance of a lake: start checks, expiry and vacuum, check and repair, and the rebuild of a
/// lost catalog.
#[derive(Clone, Copy)]
pub struct Maintenance<'a> {
    lake: &'a Lake,
}

impl Lake {
    /// Its maintenance.
    #[must_use]
    pub fn maintenance(&self) -> Maintenance<'_> {
        Maintenance { lake: self }
    }
}
