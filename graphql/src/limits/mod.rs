//! What keeps one asker from taking what all need, and all from asking more than there is.

mod rate;
mod shed;
mod size;

pub(crate) use rate::{Budget, Emptied, Rate, charge, charge_all, charge_rest};
pub(crate) use shed::{Room, shed};
pub(crate) use size::{Bounded, MaxBytes, TooLarge, points_of_bytes};
