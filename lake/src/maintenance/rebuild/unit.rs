//! Unit of a rebuild: an hour or a day.

use marketlake_entities::records::segments::Tier;
use marketlake_model::Minute;

use crate::span::Span;
use crate::storage::paths::ObjectKey;

/// An hour, or a day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) first: Minute,
    /// Tier of what is written for it.
    pub(super) tier: Tier,
}

impl Unit {
    pub(super) fn day(day: Minute) -> Self {
        Self {
            first: day,
            tier: Tier::Day,
        }
    }

    pub(super) fn hour(hour: Minute) -> Self {
        Self {
            first: hour,
            tier: Tier::Hour,
        }
    }

    pub(super) fn span(&self) -> Span {
        match self.tier {
            Tier::Day => Span::day(self.first),
            Tier::Raw | Tier::Hour => Span::hour(self.first),
        }
    }

    /// Returns whether it contains an object of its day.
    pub(super) fn contains(&self, key: &ObjectKey) -> bool {
        match self.tier {
            Tier::Day => key.day() == self.first,
            Tier::Raw | Tier::Hour => key.tier != Tier::Day && key.hour() == self.first,
        }
    }
}

/// Time in which the rows of an object with a key must lie.
pub(super) fn span_of(key: &ObjectKey) -> Span {
    match key.tier {
        Tier::Day => Span::day(key.day()),
        Tier::Raw | Tier::Hour => Span::hour(key.hour()),
    }
}
