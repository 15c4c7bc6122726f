//! Retry of object store calls with exponential backoff.

use std::time::{Duration, Instant};

use marketlake_common::backoff;
use marketlake_common::failure_log::{FailureLine, FailureLog};
use tokio::time::sleep;

const MAX_ATTEMPTS: u32 = 6;
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Lines about calls that are tried again: one each some minutes, however many there are.
static RETRIES: FailureLog = FailureLog::new();

/// Retries a call with a growing pause. A missing object is not retried.
pub(crate) async fn retry<T, F: Future<Output = object_store::Result<T>>>(
    call: impl Fn() -> F,
) -> object_store::Result<T> {
    let mut failed = 0;
    loop {
        match call().await {
            Err(error) if failed + 1 < MAX_ATTEMPTS && !is_final(&error) => {
                failed += 1;
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
                sleep(backoff(
                    INITIAL_BACKOFF,
                    MAX_BACKOFF,
                    failed,
                    rand::random(),
                ))
                .await;
            }
            result => return result,
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
