//! Rate-limited log lines of failed runs.

use std::time::Instant;

use marketlake_common::failure_log::{FailureLine, FailureLog};
use marketlake_entities::database::outage::with_cause;
use marketlake_model::{Millis, Minute};
use serde_json::Value;

use crate::error::JobError;
use crate::job::JobContext;

/// Logs a run that failed, and why that could not be recorded, where it could not. Runs of a job
/// that fail for the same cause are one line when they begin, and one with a count now and then.
pub(crate) fn log(
    failures: &FailureLog,
    job: &str,
    run: &JobContext,
    outcome: &str,
    error: &JobError,
    unrecorded: Option<JobError>,
) {
    let (slot, attempt) = (run.slot, run.attempts);
    let unrecorded = unrecorded.map(|error| with_cause(&error));
    let cause = format!(
        "{outcome} {error} {}",
        unrecorded.as_deref().unwrap_or_default()
    );
    match failures.fail(Instant::now(), &cause) {
        FailureLine::First => match unrecorded {
            Some(reason) => {
                tracing::error!(job, %slot, attempt, %error, reason, "cannot record a failure; \
                    the lease will run out");
            }
            None if matches!(error, JobError::Panicked(_)) => {
                tracing::error!(job, %slot, attempt, outcome, %error, "run panicked");
            }
            None => tracing::warn!(job, %slot, attempt, outcome, %error, "run failed"),
        },
        FailureLine::Again(until_now) => tracing::warn!(
            job,
            %slot,
            outcome,
            %error,
            failures = until_now.count,
            seconds = until_now.seconds,
            "runs fail again and again"
        ),
        FailureLine::Quiet => tracing::debug!(job, %slot, attempt, outcome, %error, "run failed"),
    }
}

/// Logs that a lease cannot be renewed, in the same way.
pub(crate) fn log_renewal(failures: &FailureLog, run: &JobContext, error: &JobError) {
    let slot = run.slot;
    match failures.fail(Instant::now(), &format!("cannot renew a lease: {error}")) {
        FailureLine::Quiet => (),
        _ => tracing::warn!(%slot, %error, "cannot renew a lease"),
    }
}

/// Logs a feed that did not answer while others did, in the same way.
pub(crate) fn log_feed(failures: &FailureLog, slot: Minute, failure: &str) {
    match failures.fail(Instant::now(), failure) {
        FailureLine::First => tracing::warn!(%slot, failure, "minute ingested without a feed"),
        FailureLine::Again(until_now) => tracing::warn!(
            %slot,
            failure,
            failures = until_now.count,
            seconds = until_now.seconds,
            "minutes are still ingested without a feed"
        ),
        FailureLine::Quiet => tracing::debug!(%slot, failure, "minute ingested without a feed"),
    }
}

/// Logs a rejected entry of a feed, in the same way.
pub(crate) fn log_rejected(rejections: &FailureLog, slot: Millis, rejected: &Value) {
    match rejections.fail(Instant::now(), &rejected.to_string()) {
        FailureLine::First => tracing::warn!(%slot, %rejected, "entry rejected"),
        FailureLine::Again(until_now) => tracing::warn!(
            %slot,
            %rejected,
            entries = until_now.count,
            seconds = until_now.seconds,
            "entries are still rejected"
        ),
        FailureLine::Quiet => tracing::debug!(%slot, %rejected, "entry rejected"),
    }
}

/// Logs that a job's runs fail no more, where they did.
pub(crate) fn over(failures: &FailureLog, job: &str) {
    if let Some(over) = failures.succeed(Instant::now()) {
        let (failures, seconds) = (over.count, over.seconds);
        tracing::warn!(job, failures, seconds, "runs go well again");
    }
}
