//! The outbox: deliveries are written in the transaction of the decision, claimed by one worker at
//! a time, and recorded.
//!
//! ```text
//!   pending ──> sending ──> sent
//!                 │ ├─────> retry ──> sending                surely not sent
//!                 │ ├─────> unknown ──> sending, or the end  it may have arrived
//!                 │ └─────> dead                             refused for good, expired, or
//!                 │                                          without bytes
//!                 └ lease ran out: before the bytes went over a retry, after that unknown
//! ```

mod attempt;
mod claim;
mod clock_repair;
mod counts;
pub(crate) mod enqueue_alerts;
mod finish;
mod gone;
mod lane_health;
mod lane_worker;
mod leases;
mod outcome;
mod outliers;
mod sender;
mod throttle;

pub use self::claim::is_due;
pub use self::clock_repair::repair_backoffs;
pub use self::counts::SendCounts;
pub use self::enqueue_alerts::{
    DEFAULT_MAX_MAILS_PER_DAY, EnqueueOptions, MIN_DIGEST_ALERTS, NewAlert, enqueue_alerts,
};
pub use self::sender::{RETRY_FOR, SendRate, Sender};
pub use self::throttle::{
    Throttle, list_throttles, pause_sending, prune_throttles, resume_sending,
};
pub use crate::queue::TOO_OLD_REASON;
pub use crate::queue::admin::{DeliverySummary, count_dead, find, list, prune_messages, requeue};
pub use crate::queue::enqueue::{NewDelivery, enqueue};
pub use crate::queue::lane::Lane;
