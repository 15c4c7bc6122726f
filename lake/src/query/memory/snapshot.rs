//! Snapshot: one immutable state of the last 24 hours.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use marketlake_model::{Exact, Metric, Minute, RollingSum};

use super::hour::Hour;
use super::index::Index;
use crate::query::ranking::Ranking;
use crate::query::statistic::{Statistic, Summary, traded, volumes_of};
use crate::span::{Point, Span};

/// Window of the default rule, in minutes.
pub(super) const TRAILING_MINUTES: i64 = 60;

/// All that was committed of the 24 hours up to the newest minute. Cheap to copy: what did not
/// change is shared.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    pub(super) newest: Option<Minute>,
    pub(super) index: Arc<Index>,
    /// Hours by their first minutes.
    pub(super) hours: BTreeMap<Minute, Arc<Hour>>,
    /// Rankings by standard deviation, by the numbers of measures.
    pub(super) rankings: Vec<Arc<Ranking>>,
    /// Rankings by other statistics; made at the first query.
    pub(super) others: Vec<[OnceLock<Arc<Ranking>>; Statistic::ALL.len()]>,
    pub(super) trailing: Arc<Vec<RollingSum>>,
}

impl Snapshot {
    pub(crate) fn newest(&self) -> Option<Minute> {
        self.newest
    }

    /// The 24 hours that it holds.
    pub(crate) fn day(&self) -> Option<Span> {
        self.newest.map(Span::last_24h)
    }

    pub(crate) fn covers(&self, span: Span) -> bool {
        self.day()
            .is_some_and(|day| span.to <= day.to && day.from <= span.from)
    }

    /// Number of places.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn hour(&self, ts: Minute) -> Option<&Arc<Hour>> {
        self.hours.get(&ts.hour())
    }

    pub(super) fn trailing(&self) -> &[RollingSum] {
        &self.trailing
    }

    /// Returns whether each place holds the same metric in both.
    pub(super) fn shares_places(&self, other: &Self) -> bool {
        let last = self.len().checked_sub(1);
        last.is_none_or(|last| {
            last < other.len()
                && self.index.metric(last) == other.index.metric(last)
                && self.index.metric(0) == other.index.metric(0)
        })
    }

    /// The part of a span that it holds, hour by hour.
    pub(super) fn parts(
        &self,
        span: Span,
    ) -> impl DoubleEndedIterator<Item = (&Hour, Minute, Minute)> {
        let day = self.day().unwrap_or(Span {
            from: span.to.plus(1),
            to: span.from.plus(-1),
        });
        let (from, to) = (span.from.max(day.from), span.to.min(day.to));
        let empty = from > to;
        let range = if empty {
            Minute::from_number(0)..=Minute::from_number(0)
        } else {
            from.hour()..=to
        };
        self.hours
            .range(range)
            .filter(move |_| !empty)
            .map(move |(first, hour)| (&**hour, from.max(*first), to.min(first.plus(59))))
    }

    /// The metrics that have a sample in a span, by id.
    pub(crate) fn metrics(&self, span: Span) -> Vec<Metric> {
        let parts: Vec<_> = self.parts(span).rev().collect();
        let has_any = |&&place: &&usize| {
            parts
                .iter()
                .any(|(hour, from, to)| hour.has_any(place, *from, *to))
        };
        let present = self.index.sorted().iter().filter(has_any);
        present
            .map(|&place| self.index.metric(place).clone())
            .collect()
    }

    /// One metric's samples in a span.
    pub(crate) fn series(&self, metric: &Metric, span: Span) -> Vec<Point> {
        let mut points = Vec::new();
        if let Some(place) = self.index.place(metric) {
            self.read(place, span, &mut points);
        }
        points
    }

    fn read(&self, place: usize, span: Span, points: &mut Vec<Point>) {
        for (hour, from, to) in self.parts(span) {
            hour.read(place, from, to, points);
        }
    }

    /// Calls for each metric that has samples in a span, with them, by id.
    pub(crate) fn for_each(&self, span: Span, mut visit: impl FnMut(&Metric, &[Point])) {
        let mut points = Vec::new();
        for &place in self.index.sorted() {
            points.clear();
            self.read(place, span, &mut points);
            if !points.is_empty() {
                visit(self.index.metric(place), &points);
            }
        }
    }

    /// One metric's latest sample in a span.
    pub(crate) fn latest(&self, metric: &Metric, span: Span) -> Option<Point> {
        let place = self.index.place(metric)?;
        let mut parts = self.parts(span).rev();
        parts.find_map(|(hour, from, to)| hour.latest(place, from, to))
    }

    /// The places of a measure over a span.
    pub(crate) fn ranking(&self, measure: &str, statistic: Statistic, span: Span) -> Arc<Ranking> {
        let mut measures = self.index.measures().iter();
        let Some(number) = measures.position(|name| **name == *measure) else {
            return Arc::default();
        };
        if self.day() != Some(span) {
            return Arc::new(self.rank_by(number, statistic, span));
        }
        if statistic == Statistic::Stddev {
            return self.rankings.get(number).cloned().unwrap_or_default();
        }
        let make = || Arc::new(self.rank_by(number, statistic, span));
        let kept = self
            .others
            .get(number)
            .map(|kept| &kept[statistic as usize]);
        kept.map_or_else(make, |kept| Arc::clone(kept.get_or_init(make)))
    }

    fn rank_by(&self, measure: usize, statistic: Statistic, span: Span) -> Ranking {
        let parts: Vec<_> = self.parts(span).collect();
        let mut values = Vec::new();
        for place in (0..self.len()).filter(|&place| self.index.measure(place) == measure) {
            let metric = self.index.metric(place);
            let of_pair = || {
                let (daily, minutes) = volumes_of(metric)?;
                let known = |metric: &Metric| summary(&parts, self.index.place(metric)?);
                traded(known(&daily).as_ref(), known(&minutes).as_ref())
            };
            let value = summary(&parts, place).and_then(|all| statistic.compute(&all, of_pair));
            values.extend(value.map(|value| (metric.clone(), value)));
        }
        Ranking::new(values)
    }

    /// Calls for each metric with its sample at the newest minute, if it has one, and the sum of
    /// the 60 minutes before.
    pub(crate) fn for_each_newest(
        &self,
        mut visit: impl FnMut(&Metric, Option<Exact>, &RollingSum),
    ) {
        let Some(newest) = self.newest else { return };
        let Some(hour) = self.hour(newest) else {
            return;
        };
        for (place, trailing) in self.trailing.iter().enumerate() {
            visit(
                self.index.metric(place),
                hour.value(place, newest),
                trailing,
            );
        }
    }

    /// The sum of the 60 minutes before the newest, summed up anew.
    pub(super) fn trailing_of(&self, place: usize) -> RollingSum {
        let mut points = Vec::new();
        if let Some(newest) = self.newest {
            let span = Span {
                from: newest.plus(-TRAILING_MINUTES),
                to: newest.plus(-1),
            };
            self.read(place, span, &mut points);
        }
        points.iter().map(|point| point.value).collect()
    }
}

/// Merges a metric's hours in the order of time: as every engine does.
fn summary(parts: &[(&Hour, Minute, Minute)], place: usize) -> Option<Summary> {
    let mut hours = parts
        .iter()
        .filter_map(|(hour, from, to)| hour.rollup(place, *from, *to));
    let mut all = hours.next()?;
    hours.for_each(|hour| all.merge(&hour));
    Some(Summary::from(&all))
}
