//! Consequences of an attempt's outcome: the delivery's next state, the throttles to set and to
//! clear.

use std::time::Duration;

use marketlake_common::backoff;
use marketlake_entities::records::deliveries::{DeliveryState, Model};
use marketlake_model::Millis;

use super::outliers::Outliers;
use super::throttle::Cause;
use crate::delivery::channels::{SendOutcome, ThrottleScope};
use crate::queue::lane::Lane;

const INITIAL_BACKOFF: Duration = Duration::from_secs(30);
const MAX_BACKOFF: Duration = Duration::from_secs(3_600);
/// Pauses of a delivery that failed for a reason that concerns others too: its throttle holds it
/// back besides.
const INITIAL_SHARED_BACKOFF: Duration = Duration::from_secs(4);
const MAX_SHARED_BACKOFF: Duration = Duration::from_secs(60);
/// Longest pause of a server that takes connections and no mail: a probe is cheap, and only the
/// receivers that were tried may be affected.
const MAX_AMBIGUOUS_BACKOFF: Duration = Duration::from_secs(5);
/// A receiver that broke off twice after the bytes went over is not tried again.
const MAX_BROKEN_TRANSFERS: i32 = 2;
pub(super) const NEVER: Millis = Millis(i64::MAX);

/// Next state of a delivery.
pub(super) struct End {
    pub(super) state: DeliveryState,
    /// Earliest time of the next attempt.
    pub(super) not_before: Millis,
    /// Attempts of unknown outcome so far.
    pub(super) unknowns: i32,
    pub(super) error: Option<String>,
}

/// Everything that follows from the outcome of an attempt.
pub(super) struct Consequences {
    pub(super) end: End,
    /// Scopes that have just shown that they work: their throttles end.
    pub(super) healthy: &'static [ThrottleScope],
    /// Throttle to set, if the failure concerns more than the delivery itself.
    pub(super) cause: Option<Cause>,
    /// Whether the recipient no longer exists.
    pub(super) is_gone: bool,
}

impl Consequences {
    fn new(end: End) -> Self {
        Self {
            end,
            healthy: &[],
            cause: None,
            is_gone: false,
        }
    }
}

/// Derives the consequences of an outcome, and remembers it among the receivers' outliers.
pub(super) fn consequences(
    delivery: &Model,
    outcome: SendOutcome,
    outliers: &Outliers,
    now: Millis,
) -> Consequences {
    let end = |state, not_before, error| {
        Consequences::new(End {
            state,
            not_before,
            unknowns: delivery.unknowns,
            error,
        })
    };
    let own_retry = |reason| {
        let at = now.plus(own_backoff(delivery.attempts));
        end(DeliveryState::Retry, at, Some(reason))
    };
    let shared_retry = |reason| {
        let at = now.plus(shared_backoff(delivery.attempts));
        end(DeliveryState::Retry, at, Some(reason))
    };
    match outcome {
        SendOutcome::Sent => {
            outliers.succeed(delivery);
            Consequences {
                healthy: &[
                    ThrottleScope::Channel,
                    ThrottleScope::Destination,
                    ThrottleScope::Address,
                ],
                ..end(DeliveryState::Sent, NEVER, None)
            }
        }
        SendOutcome::Retry(reason) => own_retry(reason),
        SendOutcome::Throttled {
            scope,
            reason,
            retry_after,
        } => {
            outliers.answer(delivery);
            let cause = Cause {
                scope: match scope {
                    ThrottleScope::Destination => outliers.fail(delivery),
                    scope => scope,
                },
                reason: reason.clone(),
                retry_after,
                max_backoff: None,
            };
            Consequences {
                // A server that refuses a recipient has accepted the sender: it works.
                healthy: &[ThrottleScope::Channel],
                cause: Some(cause),
                ..match scope {
                    ThrottleScope::Address => own_retry(reason),
                    _ => shared_retry(reason),
                }
            }
        }
        SendOutcome::Unavailable(reason) => Consequences {
            cause: Some(Cause {
                scope: ThrottleScope::Channel,
                reason: reason.clone(),
                retry_after: None,
                max_backoff: None,
            }),
            ..shared_retry(reason)
        },
        SendOutcome::Ambiguous(reason) => Consequences {
            cause: Some(ambiguous(delivery, outliers, &reason)),
            ..shared_retry(reason)
        },
        SendOutcome::Unknown(reason) => Consequences {
            cause: Some(ambiguous(delivery, outliers, &reason)),
            ..Consequences::new(unknown(delivery, reason, now))
        },
        SendOutcome::Permanent(reason) => end(DeliveryState::Dead, NEVER, Some(reason)),
        SendOutcome::Gone(reason) => Consequences {
            is_gone: true,
            ..end(DeliveryState::Dead, NEVER, Some(reason))
        },
    }
}

/// Throttle of a failure without a reply. A mail server that broke off or is mute may do so to
/// every mail, a receiver of webhooks to all of its own.
fn ambiguous(delivery: &Model, outliers: &Outliers, reason: &str) -> Cause {
    let (scope, max_backoff) = if Lane::of(delivery.channel) == Lane::Mail {
        let scope = outliers.fail_at_server(delivery);
        let max = (scope == ThrottleScope::Channel).then_some(MAX_AMBIGUOUS_BACKOFF);
        (scope, max)
    } else {
        (outliers.fail(delivery), None)
    };
    Cause {
        scope,
        reason: reason.to_owned(),
        retry_after: None,
        max_backoff,
    }
}

/// State of a delivery that may have arrived.
fn unknown(delivery: &Model, reason: String, now: Millis) -> End {
    let unknowns = delivery.unknowns + 1;
    End {
        state: DeliveryState::Unknown,
        not_before: if unknowns < MAX_BROKEN_TRANSFERS {
            now.plus(own_backoff(delivery.attempts))
        } else {
            NEVER
        },
        unknowns,
        error: Some(reason),
    }
}

fn own_backoff(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    backoff(INITIAL_BACKOFF, MAX_BACKOFF, failed, rand::random())
}

/// Longest pause of a delivery after a number of attempts.
pub(super) fn max_backoff(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    let own = backoff(INITIAL_BACKOFF, MAX_BACKOFF, failed, 1.0);
    own.max(backoff(
        INITIAL_SHARED_BACKOFF,
        MAX_SHARED_BACKOFF,
        failed,
        1.0,
    ))
}

fn shared_backoff(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    let chance = 0.5 + rand::random::<f64>() / 2.0;
    backoff(INITIAL_SHARED_BACKOFF, MAX_SHARED_BACKOFF, failed, chance)
}
