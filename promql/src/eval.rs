//! Evaluation of a plan at an instant.

use std::collections::BTreeMap;
use std::time::Instant;

use super::bounds::check_samples;
use super::functions::arguments::Arguments;
use super::labels::Labels;
use super::plan::{Bounds, LOOKBACK, Plan, When};
use super::value::{Element, PromError, Samples, Series, Value};
use super::{aggregate, binary, functions};

const MAX_STEPS: i64 = 11_000;
const MAX_SUBQUERY_SAMPLES: usize = 5_000_000;

/// Evaluates plans until a deadline.
#[derive(Clone, Copy)]
pub(super) struct Evaluator {
    /// Time at which the evaluation is given up.
    pub(super) deadline: Instant,
}

impl Evaluator {
    /// Value of a plan at an instant, in milliseconds since 1970.
    pub(super) fn at(&self, plan: &Plan, ts: i64) -> Result<Value, PromError> {
        if Instant::now() > self.deadline {
            return Err(PromError::Timeout);
        }
        Ok(match plan {
            Plan::Number(number) => Value::Scalar(*number),
            Plan::Text(text) => Value::Text(text.clone()),
            Plan::Select { series, when } => Value::Vector(newest(series, moved(ts, *when))),
            Plan::Range {
                series,
                when,
                range,
            } => {
                let to = moved(ts, *when);
                let within = series.iter().filter_map(|series| {
                    let samples = between(&series.samples, to - range, to);
                    (!samples.is_empty()).then(|| (series.labels.clone(), samples.to_vec()))
                });
                Value::Matrix(within.collect(), (to - range, to))
            }
            Plan::Subquery {
                inner,
                when,
                range,
                step,
            } => self.subquery(inner, moved(ts, *when), *range, *step)?,
            Plan::Call {
                function,
                arguments,
                absent,
            } => {
                let evaluate = |plan: &Plan, ts| self.at(plan, ts);
                let arguments = Arguments::new(&evaluate, arguments, ts);
                functions::call(*function, &arguments, absent)?
            }
            Plan::Negative(inner) => match self.at(inner, ts)? {
                Value::Scalar(value) => Value::Scalar(-value),
                other => {
                    let elements = other.vector()?.into_iter();
                    Value::Vector(elements.map(|e| e.map(|value| -value)).collect())
                }
            },
            Plan::Binary {
                operator,
                left,
                right,
                modifier,
            } => {
                let (left, right) = (self.at(left, ts)?, self.at(right, ts)?);
                binary::apply(*operator, left, right, modifier.as_ref())?
            }
            Plan::Aggregate {
                operator,
                inner,
                parameter,
                by,
            } => {
                let parameter = match parameter {
                    Some(parameter) => Some(self.at(parameter, ts)?),
                    None => None,
                };
                let elements = self.at(inner, ts)?.vector()?;
                Value::Vector(aggregate::apply(
                    *operator,
                    elements,
                    parameter,
                    by.as_ref(),
                )?)
            }
        })
    }

    /// An expression at each step of a range, whose steps are whole since 1970.
    fn subquery(&self, inner: &Plan, to: i64, range: i64, step: i64) -> Result<Value, PromError> {
        if range / step > MAX_STEPS {
            let problem = format!(
                "expected at most {MAX_STEPS} steps of a subquery, got {}",
                range / step
            );
            return Err(PromError::BadData(problem));
        }
        // The first step behind the range's begin, which is left out.
        let from = (to - range).div_euclid(step) * step + step;
        let found = self.steps(inner, Bounds { from, to }, step, MAX_SUBQUERY_SAMPLES)?;
        Ok(Value::Matrix(found, (to - range, to)))
    }

    /// A plan at each step of a range, all in milliseconds: the series, by their labels.
    pub(super) fn steps(
        &self,
        plan: &Plan,
        Bounds { from, to }: Bounds,
        step: i64,
        max_samples: usize,
    ) -> Result<Vec<(Labels, Samples)>, PromError> {
        let mut series: BTreeMap<Labels, Samples> = BTreeMap::new();
        let (mut ts, mut count) = (from, 0);
        while ts <= to {
            match self.at(plan, ts)? {
                Value::Scalar(value) => {
                    let scalars = series.entry(Labels::default()).or_default();
                    scalars.push((ts, value));
                }
                other => {
                    let elements = other.vector()?;
                    count += elements.len();
                    check_samples(count, max_samples)?;
                    for element in elements {
                        let samples = series.entry(element.labels).or_default();
                        samples.push((ts, element.value));
                    }
                }
            }
            ts += step;
        }
        Ok(series.into_iter().collect())
    }
}

impl Element {
    /// Another value under the same labels but the name.
    pub(super) fn map(&self, of: impl Fn(f64) -> f64) -> Self {
        Self {
            labels: self.labels.without_name(),
            value: of(self.value),
        }
    }
}

fn moved(ts: i64, when: When) -> i64 {
    when.at.unwrap_or(ts) - when.offset
}

/// The newest value of each series that is not too old.
fn newest(series: &[Series], ts: i64) -> Vec<Element> {
    let newest = series.iter().filter_map(|series| {
        let (_, value) = between(&series.samples, ts - LOOKBACK, ts).last()?;
        Some(Element {
            labels: series.labels.clone(),
            value: *value,
        })
    });
    newest.collect()
}

/// The samples of a range: its begin is left out, as in Prometheus since version 3.
fn between(samples: &[(i64, f64)], from: i64, to: i64) -> &[(i64, f64)] {
    let start = samples.partition_point(|(ts, _)| *ts <= from);
    let end = samples.partition_point(|(ts, _)| *ts <= to);
    &samples[start..end.max(start)]
}
