//! Requests of subscriptions and backtests, as all APIs share them.

use marketlake_alerts::subscriptions::SignupRequester;
use marketlake_alerts::{
    self as alerts, AlertError, Backtest, FieldError, Subscription, SubscriptionSpec, subscriptions,
};
use marketlake_lake::LakeError;
use marketlake_model::{Millis, Minute};

use crate::compute::run_blocking_query;
use crate::state::AppState;

/// Requests a subscription, if its pattern matches metrics, and not too many.
///
/// # Errors
/// Fails if the database cannot be read or written. The inner error lists invalid fields.
pub async fn request_subscription(
    state: &AppState,
    new: &SubscriptionSpec,
    requester: &SignupRequester<'_>,
    now: Millis,
) -> Result<Result<Subscription, Vec<FieldError>>, AlertError> {
    let mut errors = new.check().err().unwrap_or_default();
    errors.extend(check_matches(state, new).err());
    if !errors.is_empty() {
        return Ok(Err(errors));
    }
    subscriptions::request(
        state.lake.database(),
        new,
        requester,
        &state.signup_limits,
        now,
    )
    .await
}

/// Refuses a pattern that matches no metric, or too many. One that cannot be parsed is
/// refused with the other fields.
///
/// # Errors
/// Fails if the pattern matches no metric, or too many.
pub fn check_matches(state: &AppState, new: &SubscriptionSpec) -> Result<(), FieldError> {
    let Ok(pattern) = new.metric.parse() else {
        return Ok(());
    };
    let directory = state.lake.directory();
    subscriptions::check_matches(&pattern, directory.metrics(), state.max_metrics).map(|_| ())
}

/// Backtest of a subscription over the days up to a minute, or up to the newest one.
///
/// # Errors
/// Fails if the lake cannot be read. The inner error lists invalid fields.
pub async fn run_backtest(
    state: &AppState,
    new: SubscriptionSpec,
    days: u32,
    at: Option<Minute>,
) -> Result<Result<Option<Backtest>, Vec<FieldError>>, AlertError> {
    let state = state.clone();
    let found = run_blocking_query(async move {
        alerts::try_out(&state.lake, &new, days, at, state.max_metrics).await
    });
    found.await.map_err(LakeError::from)?
}
