//! Builder of the next snapshot: takes rows in, evicts what is older than a day, ranks.

use std::collections::BTreeSet;
use std::sync::Arc;

use marketlake_model::{Metric, Minute, RollingSum};

use super::hour::Hour;
use super::index::Index;
use super::snapshot::{Snapshot, TRAILING_MINUTES};
use crate::query::ranking::Ranking;
use crate::segment::moments::Moments;
use crate::segment::rows::Rows;
use crate::span::{Point, Span};

/// Metrics without a sample that are carried along before the places are assigned anew.
const MAX_INACTIVE: usize = 1_000;

/// A snapshot that is being made.
pub(super) struct SnapshotBuilder {
    old: Snapshot,
    next: Snapshot,
    oldest_change: Option<Minute>,
}

impl SnapshotBuilder {
    /// Begins the snapshot that follows another.
    pub(super) fn new(old: &Snapshot) -> Self {
        Self {
            old: old.clone(),
            next: old.clone(),
            oldest_change: None,
        }
    }

    /// Takes rows in.
    pub(super) fn take(&mut self, rows: &Rows) {
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
    pub(super) fn finish(self) -> Snapshot {
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
            next.evict_inactive(day);
        }
        let changed_before_newest = oldest_change.is_some_and(|oldest| oldest < newest);
        let trailing = advance_sums(&old, &next, changed_before_newest).unwrap_or_else(|| {
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
    fn evict_inactive(&mut self, day: Span) {
        let parts: Vec<_> = self.parts(day).rev().collect();
        let alive = |&place: &usize| {
            parts
                .iter()
                .any(|(hour, from, to)| hour.has_any(place, *from, *to))
        };
        let places: Vec<usize> = (0..self.len()).filter(alive).collect();
        let dead = self.len() - places.len();
        if dead < MAX_INACTIVE && dead * 4 < self.len() {
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

    /// Merges each metric's hours, the first of which is a part of one, in the order of time: as
    /// every engine does.
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

/// Moves sums on: `next` is `old` with the newest minute one later. `None` where it is not, or
/// where a sample before the newest minute has changed; then they must be summed up anew.
fn advance_sums(
    old: &Snapshot,
    next: &Snapshot,
    changed_before_newest: bool,
) -> Option<Vec<RollingSum>> {
    let (was, is) = (old.newest()?, next.newest()?);
    let step = is.number() - was.number();
    if changed_before_newest || step > 1 || !old.shares_places(next) {
        return None;
    }
    let mut sums = old.trailing().to_vec();
    sums.resize(next.len(), RollingSum::default());
    if step == 0 {
        return Some(sums);
    }
    let left = was.plus(-TRAILING_MINUTES);
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
