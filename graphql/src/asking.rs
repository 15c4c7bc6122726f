//! A subscription asked for by anybody, whichever face it came by.

use marketlake_alerts::subscription::Asker;
use marketlake_alerts::{AlertError, FieldError, NewSubscription, Subscription, subscription};
use marketlake_entities::Millis;

use crate::pages::Desk;

/// Asks for a subscription, if its pattern means metrics that there are, and not too many.
pub(crate) async fn ask(
    desk: &Desk,
    new: &NewSubscription,
    asker: &Asker<'_>,
    now: Millis,
) -> Result<Result<Subscription, Vec<FieldError>>, AlertError> {
    let mut errors = new.check().err().unwrap_or_default();
    if let Ok(pattern) = new.metric.parse() {
        let directory = desk.lake.directory();
        let matches = subscription::check_matches(&pattern, directory.metrics(), desk.most_metrics);
        errors.extend(matches.err());
    }
    if !errors.is_empty() {
        return Ok(Err(errors));
    }
    subscription::ask(desk.lake.database(), new, asker, &desk.caps, now).await
}
