//! A subscription asked for by anybody, whichever face it came by.

use marketlake_alerts::subscriptions::SignupRequester;
use marketlake_alerts::{
    self as alerts, AlertError, Backtest, FieldError, NewSubscription, Subscription, subscriptions,
};
use marketlake_lake::LakeError;
use marketlake_model::{Millis, Minute};

use crate::compute::read_and_compute;
use crate::pages::Desk;

/// Asks for a subscription, if its pattern means metrics that there are, and not too many.
pub(crate) async fn ask(
    desk: &Desk,
    new: &NewSubscription,
    asker: &SignupRequester<'_>,
    now: Millis,
) -> Result<Result<Subscription, Vec<FieldError>>, AlertError> {
    let mut errors = new.check().err().unwrap_or_default();
    errors.extend(check_matches(desk, new).err());
    if !errors.is_empty() {
        return Ok(Err(errors));
    }
    subscriptions::request(desk.lake.database(), new, asker, &desk.caps, now).await
}

/// Refuses a pattern that means no metrics that there are, or too many. One that cannot be read is
/// refused with the other fields.
pub(crate) fn check_matches(desk: &Desk, new: &NewSubscription) -> Result<(), FieldError> {
    let Ok(pattern) = new.metric.parse() else {
        return Ok(());
    };
    let directory = desk.lake.directory();
    subscriptions::check_matches(&pattern, directory.metrics(), desk.most_metrics).map(|_| ())
}

/// Backtest of a subscription over the days up to a minute, or up to the newest one.
pub(crate) async fn try_out(
    desk: &Desk,
    new: NewSubscription,
    days: u32,
    at: Option<Minute>,
) -> Result<Result<Option<Backtest>, Vec<FieldError>>, AlertError> {
    let desk = desk.clone();
    let found = read_and_compute(async move {
        alerts::try_out(&desk.lake, &new, days, at, desk.most_metrics).await
    });
    found.await.map_err(LakeError::from)?
}
