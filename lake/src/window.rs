//! The last 24 hours of every metric, in memory: one ring of 1,440 minutes each, 9 bytes a minute.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use marketlake_entities::{Exact, Metric, Minute, Sample};
use parking_lot::RwLock;

use crate::{Point, Span};

/// Minutes of a day.
pub(crate) const DAY: i64 = 1_440;
/// The scale of a minute without a sample; no value has it.
const ABSENT: i8 = i8::MIN;

/// The window. Committed samples only; see [`Lake::follow`](crate::Lake::follow).
#[derive(Default)]
pub struct Window {
    rings: RwLock<Rings>,
    /// Set once what was live at the start is in; until then it answers nothing.
    ready: AtomicBool,
}

#[derive(Default)]
struct Rings {
    newest: Option<Minute>,
    by_metric: HashMap<Metric, Ring>,
}

struct Ring {
    unscaled: Box<[i64]>,
    scale: Box<[i8]>,
}

impl Window {
    /// Takes samples in. The newest minute moves on with them; what is then older than a day is forgotten.
    pub fn apply(&self, samples: &[Sample]) {
        let mut rings = self.rings.write();
        if let Some(newest) = samples.iter().map(|sample| sample.ts).max() {
            rings.advance(newest);
        }
        let Some(day) = rings.newest.map(Span::day_to) else {
            return;
        };
        for sample in samples.iter().filter(|sample| day.holds(sample.ts)) {
            if let Some(ring) = rings.by_metric.get_mut(&sample.metric) {
                ring.set(sample.ts, sample.value);
            } else {
                let mut ring = Ring::empty();
                ring.set(sample.ts, sample.value);
                rings.by_metric.insert(sample.metric.clone(), ring);
            }
        }
    }

    /// The newest minute with a sample.
    #[must_use]
    pub fn newest(&self) -> Option<Minute> {
        self.rings.read().newest
    }

    /// Whether all that was live at the start is in.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether it holds all of a span that ends no later than the newest committed minute.
    #[must_use]
    pub fn covers(&self, span: Span) -> bool {
        self.is_ready()
            && self
                .newest()
                .is_some_and(|newest| span.to <= newest && Span::day_to(newest).from <= span.from)
    }

    /// Calls for each metric that has samples in a span, with them, in no order of metrics.
    pub(crate) fn for_each(&self, span: Span, mut visit: impl FnMut(&Metric, &[Point])) {
        let rings = self.rings.read();
        let mut points = Vec::new();
        for (metric, ring) in &rings.by_metric {
            ring.read(span, rings.newest, &mut points);
            if !points.is_empty() {
                visit(metric, &points);
            }
        }
    }

    /// The metrics that have a sample in a span, in no order.
    pub(crate) fn present(&self, span: Span) -> Vec<Metric> {
        let rings = self.rings.read();
        let has_any = |ring: &Ring| ring.has_any(span, rings.newest);
        let present = rings.by_metric.iter().filter(|(_, ring)| has_any(ring));
        present.map(|(metric, _)| metric.clone()).collect()
    }

    /// One metric's samples in a span.
    pub(crate) fn series(&self, metric: &Metric, span: Span) -> Vec<Point> {
        let rings = self.rings.read();
        let mut points = Vec::new();
        if let Some(ring) = rings.by_metric.get(metric) {
            ring.read(span, rings.newest, &mut points);
        }
        points
    }
}

impl Rings {
    /// Moves the newest minute on, and empties the places of the minutes that come.
    fn advance(&mut self, to: Minute) {
        let Some(newest) = self.newest else {
            self.newest = Some(to);
            return;
        };
        if to <= newest {
            return;
        }
        let passed = (to.number() - newest.number()).min(DAY);
        for ring in self.by_metric.values_mut() {
            for minute in 0..passed {
                ring.clear(to.plus(-minute));
            }
        }
        self.newest = Some(to);
        if to.number() % 60 == 0 || passed > 60 {
            self.by_metric.retain(|_, ring| !ring.is_empty());
        }
    }
}

impl Ring {
    fn empty() -> Self {
        let places = place(Minute::from_number(-1)) + 1;
        Self {
            unscaled: vec![0; places].into(),
            scale: vec![ABSENT; places].into(),
        }
    }

    fn set(&mut self, ts: Minute, value: Exact) {
        self.unscaled[place(ts)] = value.unscaled();
        self.scale[place(ts)] = value.scale();
    }

    fn clear(&mut self, ts: Minute) {
        self.scale[place(ts)] = ABSENT;
    }

    fn is_empty(&self) -> bool {
        self.scale.iter().all(|&scale| scale == ABSENT)
    }

    /// Looks from the newest minute back: most metrics have one.
    fn has_any(&self, span: Span, newest: Option<Minute>) -> bool {
        let Some(held) = held(span, newest) else {
            return false;
        };
        let numbers = held.from.number()..=held.to.number();
        let mut minutes = numbers.rev().map(Minute::from_number);
        minutes.any(|ts| self.scale[place(ts)] != ABSENT)
    }

    fn read(&self, span: Span, newest: Option<Minute>, points: &mut Vec<Point>) {
        points.clear();
        let Some(held) = held(span, newest) else {
            return;
        };
        for number in held.from.number()..=held.to.number() {
            let ts = Minute::from_number(number);
            let scale = self.scale[place(ts)];
            if scale != ABSENT {
                points.extend(
                    Exact::new(self.unscaled[place(ts)], scale).map(|value| Point { ts, value }),
                );
            }
        }
    }
}

fn place(ts: Minute) -> usize {
    usize::try_from(ts.number().rem_euclid(DAY)).unwrap_or(0)
}

/// The part of a span that a window up to `newest` holds.
fn held(span: Span, newest: Option<Minute>) -> Option<Span> {
    let day = Span::day_to(newest?);
    Some(Span {
        from: span.from.max(day.from),
        to: span.to.min(day.to),
    })
}
