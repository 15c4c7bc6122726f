//! Arguments of functions.

use crate::plan::Plan;
use crate::value::{Element, PromError, Value};

/// Arguments of a function, evaluated on demand.
pub(crate) struct Arguments<'a> {
    evaluate: &'a dyn Fn(&Plan, i64) -> Result<Value, PromError>,
    pub(super) plans: &'a [Plan],
    pub(super) ts: i64,
}

impl<'a> Arguments<'a> {
    /// Arguments at an instant, evaluated by a closure.
    pub(crate) fn new(
        evaluate: &'a dyn Fn(&Plan, i64) -> Result<Value, PromError>,
        plans: &'a [Plan],
        ts: i64,
    ) -> Self {
        Self {
            evaluate,
            plans,
            ts,
        }
    }

    pub(super) fn at(&self, index: usize) -> Result<Value, PromError> {
        let plan = self.plans.get(index);
        let missing = || PromError::BadData(format!("expected argument {}", index + 1));
        (self.evaluate)(plan.ok_or_else(missing)?, self.ts)
    }

    pub(super) fn vector(&self, index: usize) -> Result<Vec<Element>, PromError> {
        self.at(index)?.vector()
    }

    pub(super) fn scalar(&self, index: usize) -> Result<f64, PromError> {
        self.at(index)?.scalar()
    }

    pub(super) fn scalar_or(&self, index: usize, usual: f64) -> Result<f64, PromError> {
        if index < self.plans.len() {
            self.scalar(index)
        } else {
            Ok(usual)
        }
    }

    pub(super) fn text(&self, index: usize) -> Result<String, PromError> {
        self.at(index)?.text()
    }
}
