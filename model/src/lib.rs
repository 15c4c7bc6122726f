//! The domain model as plain values: a [`Metric`] has a [`Sample`] at a [`Minute`], whose
//! value is an [`Exact`] decimal; a [`JumpRule`] decides what is a [`Jump`].
//!
//! They do no I/O, know no database and read no clock.

mod exact;
mod jump;
mod metric;
mod minute;
mod pattern;
pub mod rule_fields;
mod sample;

pub use exact::{Exact, ParseExactError};
pub use jump::{Direction, Jump, JumpRule, NoData, ParseDirectionError, RollingSum};
pub use metric::{
    HIGH, LOW, Metric, PRICE, ParseMetricError, SIMULATED, TRADES, VOLUME, VOLUME_24H,
    canonical_name,
};
pub use minute::{Millis, Minute, ParseTimeError, parse_time};
pub use pattern::{ParsePatternError, Pattern};
pub use sample::{Rejected, Sample};
