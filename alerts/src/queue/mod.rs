//! The table of deliveries as other parts see it: new rows, queries for operators, and the suppression list.
//!
//! Subscriptions write their confirmations here, detection its alerts; [`delivery`](crate::delivery) sends them.

pub mod admin;
pub mod enqueue;
pub mod lane;
pub(crate) mod suppression_list;

/// How the reason begins where a delivery is given up because nobody wants it any more.
pub(crate) const NOT_WANTED: &str = "not wanted any more: ";
/// How the reason begins where an alert was too old when its minute was judged.
pub const TOO_OLD: &str = "expired: older than alerts.max_age";
/// How the reason begins where a delivery could not be made in time.
pub(crate) const EXPIRED: &str = "expired: not delivered within alerts.retry_for";
