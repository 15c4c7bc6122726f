//! The exact sums of the 60 minutes before the newest, moved on a minute at a time.

use std::sync::Arc;

use marketlake_model::Trailing;

use super::hour::Hour;
use super::snapshot::Snapshot;

/// The window of the default rule, in minutes.
pub(super) const MINUTES: i64 = 60;

/// Moves sums on: `next` is `old` with the newest minute one later. `None` where it is not, or where a sample before the
/// newest minute has changed; then they must be summed up anew.
pub(super) fn moved_on(
    old: &Snapshot,
    next: &Snapshot,
    changed_before_newest: bool,
) -> Option<Vec<Trailing>> {
    let (was, is) = (old.newest()?, next.newest()?);
    let step = is.number() - was.number();
    if changed_before_newest || step > 1 || !old.shares_places(next) {
        return None;
    }
    let mut sums = old.trailing().to_vec();
    sums.resize(next.len(), Trailing::default());
    if step == 0 {
        return Some(sums);
    }
    let left = was.plus(-MINUTES);
    let (entering, leaving) = (next.hour(was), old.hour(left));
    for (place, sum) in sums.iter_mut().enumerate() {
        let value = |hour: Option<&Arc<Hour>>, ts| hour.and_then(|hour| hour.value(place, ts));
        if let Some(value) = value(leaving, left)
            && !sum.pop(value)
        {
            *sum = next.trailing_of(place);
            continue;
        }
        if let Some(value) = value(entering, was) {
            sum.push(value);
        }
    }
    Some(sums)
}
