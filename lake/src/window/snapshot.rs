//! One state of the last 24 hours.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use marketlake_model::{Exact, Metric, Minute, Trailing};

use super::hour::Hour;
use super::index::Index;
use super::sliding;
use crate::moments::Moments;
use crate::ranking::Ranking;
use crate::rows::Rows;
use crate::statistic::{Statistic, Summary, traded, volumes_of};
use crate::{Point, Span};

/// So many metrics without a sample are carried along before the places are given anew.
const DEAD_PLACES: usize = 1_000;

/// All that was committed of the 24 hours up to the newest minute. Cheap to copy: what did not change is shared.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    newest: Option<Minute>,
    index: Arc<Index>,
    /// By their first minutes.
    hours: BTreeMap<Minute, Arc<Hour>>,
    /// By standard deviation, by the numbers of measures.
    rankings: Vec<Arc<Ranking>>,
    /// By other statistics; made at the first asking.
    others: Vec<[OnceLock<Arc<Ranking>>; Statistic::ALL.len()]>,
    trailing: Arc<Vec<Trailing>>,
}

impl Snapshot {
    pub(crate) fn newest(&self) -> Option<Minute> {
        self.newest
    }

    /// The 24 hours that it holds.
    pub(crate) fn day(&self) -> Option<Span> {
        self.newest.map(Span::day_to)
    }

    pub(crate) fn covers(&self, span: Span) -> bool {
        self.day()
            .is_some_and(|day| span.to <= day.to && day.from <= span.from)
    }

    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn hour(&self, ts: Minute) -> Option<&Arc<Hour>> {
        self.hours.get(&ts.hour())
    }

    pub(super) fn trailing(&self) -> &[Trailing] {
        &self.trailing
    }

    /// Whether each place of this one is the same metric's in the other.
    pub(super) fn shares_places(&self, other: &Self) -> bool {
        let last = self.len().checked_sub(1);
        last.is_none_or(|last| {
            last < other.len()
                && self.index.metric(last) == other.index.metric(last)
                && self.index.metric(0) == other.index.metric(0)
        })
    }

    /// The part of a span that it holds, hour by hour.
    fn parts(&self, span: Span) -> impl DoubleEndedIterator<Item = (&Hour, Minute, Minute)> {
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
            let value = summary(&parts, place).and_then(|all| statistic.of(&all, of_pair));
            values.extend(value.map(|value| (metric.clone(), value)));
        }
        Ranking::new(values)
    }

    /// Calls for each metric with its sample at the newest minute, if it has one, and the sum of the 60 minutes before.
    pub(crate) fn for_each_newest(&self, mut visit: impl FnMut(&Metric, Option<Exact>, &Trailing)) {
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
    pub(super) fn trailing_of(&self, place: usize) -> Trailing {
        let mut points = Vec::new();
        if let Some(newest) = self.newest {
            let span = Span {
                from: newest.plus(-sliding::MINUTES),
                to: newest.plus(-1),
            };
            self.read(place, span, &mut points);
        }
        points.iter().map(|point| point.value).collect()
    }

    /// Begins the one that comes after it.
    pub(crate) fn next(&self) -> Next {
        Next {
            old: self.clone(),
            next: self.clone(),
            oldest_change: None,
        }
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

/// A snapshot that is being made.
pub(crate) struct Next {
    old: Snapshot,
    next: Snapshot,
    oldest_change: Option<Minute>,
}

impl Next {
    /// Takes rows in.
    pub(crate) fn take(&mut self, rows: &Rows) {
        let newest = rows.series().filter_map(|(_, points)| points.last());
        let newest = newest.map(|point| point.ts).max();
        self.next.newest = self.next.newest.max(newest);
        let Some(day) = self.next.day() else { return };
        let index = &self.next.index;
        let new: BTreeSet<&Metric> = rows
            .series()
            .filter(|(_, points)| points.last().is_some_and(|point| point.ts >= day.from))
            .map(|(metric, _)| metric)
            .filter(|metric| index.place(metric).is_none())
            .collect();
        if !new.is_empty() {
            let new: Vec<Metric> = new.into_iter().cloned().collect();
            Arc::make_mut(&mut self.next.index).extend(new.into_iter());
        }
        for (metric, points) in rows.series() {
            let Some(place) = self.next.index.place(metric) else {
                continue;
            };
            let held = &points[points.partition_point(|point| point.ts < day.from)..];
            for points in held.chunk_by(|a, b| a.ts.hour() == b.ts.hour()) {
                self.set(place, points);
            }
        }
    }

    fn set(&mut self, place: usize, points: &[Point]) {
        let Some(first) = points.first().map(|point| point.ts) else {
            return;
        };
        self.oldest_change = Some(self.oldest_change.map_or(first, |oldest| oldest.min(first)));
        let hours = &mut self.next.hours;
        let hour = hours
            .entry(first.hour())
            .or_insert_with(|| Arc::new(Hour::new(first.hour())));
        let hour = Arc::make_mut(hour);
        hour.grow(self.next.index.len());
        hour.set(place, points);
    }

    /// Forgets what is older than a day, and brings rankings and sums up to date.
    pub(crate) fn finish(self) -> Snapshot {
        let Self {
            old,
            mut next,
            oldest_change,
        } = self;
        let (Some(newest), Some(day)) = (next.newest, next.day()) else {
            return next;
        };
        next.hours = next.hours.split_off(&day.from.hour());
        if old.newest.map(Minute::hour) != Some(newest.hour()) {
            next.forget_the_dead(day);
        }
        let changed_before_newest = oldest_change.is_some_and(|oldest| oldest < newest);
        let trailing = sliding::moved_on(&old, &next, changed_before_newest).unwrap_or_else(|| {
            (0..next.len())
                .map(|place| next.trailing_of(place))
                .collect()
        });
        next.trailing = Arc::new(trailing);
        next.rank(day);
        next
    }
}

impl Snapshot {
    /// Gives the places anew where many metrics have had no sample for a day.
    fn forget_the_dead(&mut self, day: Span) {
        let parts: Vec<_> = self.parts(day).rev().collect();
        let alive = |&place: &usize| {
            parts
                .iter()
                .any(|(hour, from, to)| hour.has_any(place, *from, *to))
        };
        let places: Vec<usize> = (0..self.len()).filter(alive).collect();
        let dead = self.len() - places.len();
        if dead < DEAD_PLACES && dead * 4 < self.len() {
            return;
        }
        let mut index = Index::default();
        index.extend(places.iter().map(|&place| self.index.metric(place).clone()));
        let hours = self.hours.iter();
        self.hours = hours
            .map(|(first, hour)| (*first, Arc::new(hour.reordered(&places))))
            .collect();
        self.index = Arc::new(index);
    }

    /// Merges each metric's hours, the first of which is a part of one, in the order of time: as every engine does.
    fn rank(&mut self, day: Span) {
        let hours: Vec<&Hour> = self.hours.values().map(|hour| &**hour).collect();
        let mut spreads: Vec<Vec<(Metric, f64)>> = vec![Vec::new(); self.index.measures().len()];
        for place in 0..self.index.len() {
            let mut all = Moments::default();
            for hour in &hours {
                all.merge(&hour.moments_from(place, day.from));
            }
            if let Some(stddev) = all.stddev() {
                let metric = self.index.metric(place).clone();
                spreads[self.index.measure(place)].push((metric, stddev));
            }
        }
        self.others = vec![Default::default(); spreads.len()];
        self.rankings = spreads
            .into_iter()
            .map(|spreads| Arc::new(Ranking::new(spreads)))
            .collect();
    }
}
