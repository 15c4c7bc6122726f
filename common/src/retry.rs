//! Bounded retries with exponential backoff and full jitter.

use std::time::Duration;

use tokio::time::sleep;

use crate::backoff::backoff;

/// Pauses between the attempts of a call.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Longest pause after the first failure; it doubles with each further one.
    pub initial_backoff: Duration,
    /// Longest pause of all.
    pub max_backoff: Duration,
}

impl RetryPolicy {
    /// Calls until it succeeds, or has failed as often as `max_attempts` allows for its error: 1
    /// for an error that is final. `max_attempts` gets the error and the number of failures, and
    /// logs what is worth it.
    ///
    /// # Errors
    /// The last error.
    pub async fn retry<T, E, F: Future<Output = Result<T, E>>>(
        self,
        mut call: impl FnMut() -> F,
        mut max_attempts: impl FnMut(&E, u32) -> u32,
    ) -> Result<T, E> {
        let mut failures = 0;
        loop {
            let error = match call().await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            failures += 1;
            if failures >= max_attempts(&error, failures) {
                return Err(error);
            }
            let chance = rand::random();
            sleep(backoff(
                self.initial_backoff,
                self.max_backoff,
                failures,
                chance,
            ))
            .await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: RetryPolicy = RetryPolicy {
        initial_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(2),
    };

    #[tokio::test]
    async fn a_call_is_tried_as_often_as_its_error_allows() {
        for (error, expected) in [("final", 1), ("transient", 3)] {
            let mut calls = 0;
            let result: Result<(), &str> = QUICK
                .retry(
                    || {
                        calls += 1;
                        async move { Err(error) }
                    },
                    |error, _| if *error == "final" { 1 } else { 3 },
                )
                .await;
            assert_eq!((result, calls), (Err(error), expected));
        }
    }

    #[tokio::test]
    async fn the_first_success_ends_it() {
        let mut calls = 0;
        let call = || {
            calls += 1;
            let calls = calls;
            async move { if calls < 3 { Err(calls) } else { Ok(calls) } }
        };
        assert_eq!(QUICK.retry(call, |_, _| 5).await, Ok(3));
    }
}
