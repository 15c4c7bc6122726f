//! The table of deliveries as other parts see it: new rows, queries for operators, and the
//! suppression list.
//!
//! Subscriptions write their confirmations here, detection its alerts;
//! [`delivery`](crate::delivery) sends them.

pub mod admin;
pub mod enqueue;
pub mod lane;
pub(crate) mod suppression_list;

/// Prefix of the reason if a delivery is given up because it is no longer wanted.
pub(crate) const UNWANTED_REASON_PREFIX: &str = "not wanted any more: ";
/// Reason, or its beginning, if an alert was too old when its minute was evaluated.
pub const TOO_OLD_REASON: &str = "expired: older than alerts.max_age";
/// Reason, or its beginning, if a delivery could not be made in time.
pub(crate) const EXPIRED_REASON: &str = "expired: not delivered within alerts.retry_for";
