//! Retry of object store calls with exponential backoff.

use std::time::{Duration, Instant};

use marketlake_common::RetryPolicy;
use marketlake_common::failure_log::{FailureLine, FailureLog};

const MAX_ATTEMPTS: u32 = 6;
const POLICY: RetryPolicy = RetryPolicy {
    initial_backoff: Duration::from_millis(50),
    max_backoff: Duration::from_secs(2),
};

/// Lines about calls that are tried again: one each some minutes, however many there are.
static RETRIES: FailureLog = FailureLog::new();

/// Retries a call with a growing pause. A missing object is not retried.
pub(crate) async fn retry<T, F: Future<Output = object_store::Result<T>>>(
    call: impl Fn() -> F,
) -> object_store::Result<T> {
    let max_attempts = |error: &object_store::Error, failures| {
        if is_final(error) {
            return 1;
        }
        if failures < MAX_ATTEMPTS {
            log(error, failures);
        }
        MAX_ATTEMPTS
    };
    POLICY.retry(call, max_attempts).await
}

fn log(error: &object_store::Error, failed: u32) {
    match RETRIES.fail(Instant::now(), &error.to_string()) {
        FailureLine::First => {
            tracing::warn!(%error, failed, "the object store failed, trying again");
        }
        FailureLine::Again(until_now) => tracing::warn!(
            %error,
            failures = until_now.count,
            seconds = until_now.seconds,
            "the object store fails again and again, trying again"
        ),
        FailureLine::Quiet => {
            tracing::debug!(%error, failed, "the object store failed, trying again");
        }
    }
}

fn is_final(error: &object_store::Error) -> bool {
    use object_store::Error;
    matches!(
        error,
        Error::NotFound { .. }
            | Error::AlreadyExists { .. }
            | Error::Precondition { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
    )
}
