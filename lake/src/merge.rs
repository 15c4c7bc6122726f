//! Several sorted sources of rows as one, a metric at a time. Memory: one batch of each source, and one metric's points.

use std::sync::Arc;

use marketlake_entities::{Exact, Metric};

use crate::rows::Rows;
use crate::{LakeError, Point};

/// Batches of rows that rise by (metric, ts), across batches too.
pub(crate) type Source = Box<dyn Iterator<Item = Result<Rows, LakeError>> + Send>;

/// A source that is in memory.
pub(crate) fn in_memory(rows: Arc<Rows>) -> Source {
    // One metric a batch, so that nothing is copied before it is asked for.
    let mut next = 0;
    Box::new(std::iter::from_fn(move || {
        let (metric, points) = rows.run(next)?;
        next += 1;
        let mut batch = Rows::default();
        batch.extend(metric, points);
        Some(Ok(batch))
    }))
}

/// What new rows did to old ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Rows of a (metric, ts) that had none.
    pub(crate) added: u64,
    /// Rows in place of another value.
    pub(crate) corrected: u64,
}

/// The merge. Of one (metric, ts), the row of the latest source wins.
pub(crate) struct Merge {
    cursors: Vec<Cursor>,
    effect: Effect,
    scratch: Vec<Row>,
}

#[derive(Clone, Copy)]
struct Row {
    point: Point,
    is_new: bool,
}

struct Cursor {
    source: Source,
    is_new: bool,
    batch: Rows,
    run: usize,
}

impl Merge {
    /// Merges sources, the old ones in the order in which they were committed, then new ones.
    pub(crate) fn new(old: Vec<Source>, new: Vec<Source>) -> Result<Self, LakeError> {
        let old = old.into_iter().map(|source| Cursor::new(source, false));
        let new = new.into_iter().map(|source| Cursor::new(source, true));
        let mut cursors: Vec<Cursor> = old.chain(new).collect();
        for cursor in &mut cursors {
            cursor.fill()?;
        }
        Ok(Self {
            cursors,
            effect: Effect::default(),
            scratch: Vec::new(),
        })
    }

    /// The next metric, its points put into `points`; `None` at the end.
    pub(crate) fn next(&mut self, points: &mut Vec<Point>) -> Result<Option<Metric>, LakeError> {
        points.clear();
        let Some(metric) = self
            .cursors
            .iter()
            .filter_map(Cursor::metric)
            .min()
            .cloned()
        else {
            return Ok(None);
        };
        self.scratch.clear();
        for cursor in &mut self.cursors {
            cursor.take(&metric, &mut self.scratch)?;
        }
        let rising = self
            .scratch
            .windows(2)
            .all(|w| w[0].point.ts < w[1].point.ts);
        if !rising {
            // Stable: among equal times, sources stay in their order.
            self.scratch.sort_by_key(|row| row.point.ts);
        }
        for same in self.scratch.chunk_by(|a, b| a.point.ts == b.point.ts) {
            let Some(last) = same.last() else { continue };
            points.push(last.point);
            if last.is_new {
                let old = same.iter().rev().find(|row| !row.is_new);
                self.effect
                    .count(old.map(|row| row.point.value), last.point.value);
            }
        }
        Ok(Some(metric))
    }

    /// What the new rows did, so far.
    pub(crate) fn effect(&self) -> Effect {
        self.effect
    }
}

impl Effect {
    fn count(&mut self, old: Option<Exact>, new: Exact) {
        match old {
            None => self.added += 1,
            Some(old) if old != new => self.corrected += 1,
            Some(_) => (),
        }
    }
}

impl Cursor {
    fn new(source: Source, is_new: bool) -> Self {
        Self {
            source,
            is_new,
            batch: Rows::default(),
            run: 0,
        }
    }

    /// Reads on where all of the batch was taken.
    fn fill(&mut self) -> Result<(), LakeError> {
        while self.batch.run(self.run).is_none() {
            let Some(batch) = self.source.next().transpose()? else {
                return Ok(());
            };
            self.batch = batch;
            self.run = 0;
        }
        Ok(())
    }

    fn metric(&self) -> Option<&Metric> {
        self.batch.run(self.run).map(|(metric, _)| metric)
    }

    /// Moves all rows of a metric out, those too that the next batches begin with.
    fn take(&mut self, wanted: &Metric, rows: &mut Vec<Row>) -> Result<(), LakeError> {
        while let Some((metric, points)) = self.batch.run(self.run)
            && metric == wanted
        {
            let is_new = self.is_new;
            rows.extend(points.iter().map(|&point| Row { point, is_new }));
            self.run += 1;
            self.fill()?;
        }
        Ok(())
    }
}
