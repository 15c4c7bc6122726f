//! Delay before the next attempt: exponential backoff with full jitter.

use std::time::Duration;

/// Doublings after which no pause grows any more.
const MAX_DOUBLINGS: u32 = 20;

/// Exponential backoff with full jitter: a random share of `first`, doubled with each attempt that
/// failed, up to `longest`. `chance` is a random number from 0 to 1; the caller draws it.
///
/// Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[must_use]
pub fn backoff(first: Duration, longest: Duration, failed_attempts: u32, chance: f64) -> Duration {
    let doublings = failed_attempts.saturating_sub(1).min(MAX_DOUBLINGS);
    let max = first.saturating_mul(2_u32.pow(doublings)).min(longest);
    max.mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit_and_is_a_share_of_that() {
        let pause = |attempts, chance| {
            backoff(
                Duration::from_secs(1),
                Duration::from_secs(60),
                attempts,
                chance,
            )
            .as_secs_f64()
        };
        assert_eq!(
            [1, 2, 3, 7, 4_000_000_000].map(|n| pause(n, 1.0)),
            [1.0, 2.0, 4.0, 60.0, 60.0]
        );
        assert_eq!([pause(3, 0.0), pause(3, 0.5)], [0.0, 2.0]);
    }
}
