//! Merge of several sorted sources of rows, a metric at a time. Memory: one batch of each source,
//! and one metric's points.

use std::sync::Arc;

use marketlake_model::{Exact, Metric};

use crate::error::LakeError;
use crate::segment::rows::Rows;
use crate::span::Point;

/// Batches of rows that rise by (metric, ts), across batches too.
pub(crate) type Source = Box<dyn Iterator<Item = Result<Rows, LakeError>> + Send>;

/// A source that is in memory.
pub(crate) fn in_memory(rows: Arc<Rows>) -> Source {
    // One metric a batch, so that nothing is copied before it is needed.
    let mut next = 0;
    Box::new(std::iter::from_fn(move || {
        let (metric, points) = rows.run(next)?;
        next += 1;
        let mut batch = Rows::default();
        batch.extend(metric, points);
        Some(Ok(batch))
    }))
}

/// Effect of new rows on old ones.
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
    /// The number of the first source of new rows.
    first_new: usize,
    effect: Effect,
    scratch: Vec<Row>,
}

/// A row, and the number of the source that it is from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) point: Point,
    pub(crate) source: usize,
}

struct Cursor {
    source: Source,
    number: usize,
    batch: Rows,
    run: usize,
}

impl Merge {
    /// Merges sources, the old ones in the order in which they were committed, then new ones.
    pub(crate) fn new(old: Vec<Source>, new: Vec<Source>) -> Result<Self, LakeError> {
        let first_new = old.len();
        let sources = old.into_iter().chain(new).enumerate();
        let mut cursors: Vec<Cursor> = sources
            .map(|(number, source)| Cursor::new(source, number))
            .collect();
        for cursor in &mut cursors {
            cursor.fill()?;
        }
        Ok(Self {
            cursors,
            first_new,
            effect: Effect::default(),
            scratch: Vec::new(),
        })
    }

    /// The next metric, its points put into `points`; `None` at the end.
    pub(crate) fn next(&mut self, points: &mut Vec<Point>) -> Result<Option<Metric>, LakeError> {
        points.clear();
        let mut rows = std::mem::take(&mut self.scratch);
        let metric = self.next_rows(&mut rows)?;
        for same in rows.chunk_by(|a, b| a.point.ts == b.point.ts) {
            let Some(last) = same.last() else { continue };
            points.push(last.point);
            if last.source >= self.first_new {
                let old = same.iter().rev().find(|row| row.source < self.first_new);
                self.effect
                    .count(old.map(|row| row.point.value), last.point.value);
            }
        }
        self.scratch = rows;
        Ok(metric)
    }

    /// The next metric, the rows of all sources put into `rows` by time, then source; `None` at the
    /// end.
    pub(crate) fn next_rows(&mut self, rows: &mut Vec<Row>) -> Result<Option<Metric>, LakeError> {
        rows.clear();
        let metrics = self.cursors.iter().filter_map(Cursor::metric);
        let Some(metric) = metrics.min().cloned() else {
            return Ok(None);
        };
        for cursor in &mut self.cursors {
            cursor.take(&metric, rows)?;
        }
        let rising = rows.windows(2).all(|w| w[0].point.ts < w[1].point.ts);
        if !rising {
            // Stable: among equal times, sources stay in their order.
            rows.sort_by_key(|row| row.point.ts);
        }
        Ok(Some(metric))
    }

    /// Effect of the new rows so far.
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
    fn new(source: Source, number: usize) -> Self {
        Self {
            source,
            number,
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
            let source = self.number;
            rows.extend(points.iter().map(|&point| Row { point, source }));
            self.run += 1;
            self.fill()?;
        }
        Ok(())
    }
}
