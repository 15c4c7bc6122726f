//! Evaluation of functions.

pub(super) mod arguments;
mod over_time;

use arguments::Arguments;

use super::bounds::{check_label, regex};
use super::function::Function;
use super::labels::Labels;
use super::plan::Plan;
use super::statistics::order;
use super::value::{Element, PromError, Value};

const MAX_LABEL_BYTES: usize = 4_096;

/// Evaluates a function at an instant.
pub(super) fn call(
    function: Function,
    arguments: &Arguments<'_>,
    absent: &Labels,
) -> Result<Value, PromError> {
    let each = |of: &dyn Fn(f64) -> f64| -> Result<Value, PromError> {
        let elements = arguments.vector(0)?;
        Ok(Value::Vector(elements.iter().map(|e| e.map(of)).collect()))
    };
    let nothing_is = |is_absent: bool| {
        let one = Element {
            labels: absent.clone(),
            value: 1.0,
        };
        Value::Vector(if is_absent { vec![one] } else { Vec::new() })
    };
    #[expect(clippy::cast_precision_loss, reason = "PromQL's numbers are floats")]
    let seconds = arguments.ts as f64 / 1_000.0;
    Ok(match function {
        Function::OverTime(of_range) => over_time::call(of_range, arguments)?,
        Function::Math(of) => each(&of)?,
        Function::Round => {
            let nearest = arguments.scalar_or(1, 1.0)?;
            // By the inverse, as Prometheus does, for the sake of digits.
            let inverse = 1.0 / nearest;
            each(&|value| (value * inverse + 0.5).floor() / inverse)?
        }
        Function::Clamp => {
            let (min, max) = (arguments.scalar(1)?, arguments.scalar(2)?);
            if min > max {
                return Ok(Value::Vector(Vec::new()));
            }
            each(&|value| value.min(max).max(min))?
        }
        Function::ClampMin => {
            let min = arguments.scalar(1)?;
            each(&|value| value.max(min))?
        }
        Function::ClampMax => {
            let max = arguments.scalar(1)?;
            each(&|value| value.min(max))?
        }
        Function::Absent => nothing_is(arguments.vector(0)?.is_empty()),
        Function::AbsentOverTime => match arguments.at(0)? {
            Value::Matrix(series, _) => nothing_is(series.is_empty()),
            other => nothing_is(other.vector()?.is_empty()),
        },
        Function::Scalar => match arguments.vector(0)?.as_slice() {
            [only] => Value::Scalar(only.value),
            _ => Value::Scalar(f64::NAN),
        },
        Function::Vector => Value::Vector(vec![Element {
            labels: Labels::default(),
            value: arguments.scalar(0)?,
        }]),
        Function::Time => Value::Scalar(seconds),
        Function::Timestamp => timestamps(arguments)?,
        Function::Sort | Function::SortDesc => {
            let mut elements = arguments.vector(0)?;
            let descending = matches!(function, Function::SortDesc);
            elements.sort_by(|a, b| order(a.value, b.value, descending));
            Value::Vector(elements)
        }
        Function::LabelReplace => label_replace(arguments)?,
        Function::LabelJoin => label_join(arguments)?,
    })
}

/// Timestamps of the samples themselves, where the argument is a selector.
#[expect(clippy::cast_precision_loss, reason = "PromQL's numbers are floats")]
fn timestamps(arguments: &Arguments<'_>) -> Result<Value, PromError> {
    let elements = arguments.vector(0)?;
    let times: std::collections::HashMap<&Labels, i64> = match arguments.plans.first() {
        Some(Plan::Select { series, when }) => {
            let ts = when.at.unwrap_or(arguments.ts) - when.offset;
            let last = |samples: &[(i64, f64)]| {
                samples[..samples.partition_point(|(at, _)| *at <= ts)]
                    .last()
                    .map(|(at, _)| *at)
            };
            let known = series
                .iter()
                .filter_map(|s| Some((&s.labels, last(&s.samples)?)));
            known.collect()
        }
        _ => std::collections::HashMap::new(),
    };
    let stamped = elements.iter().map(|element| {
        let ts = times.get(&element.labels).copied().unwrap_or(arguments.ts);
        element.map(|_| ts as f64 / 1_000.0)
    });
    Ok(Value::Vector(stamped.collect()))
}

fn label_replace(arguments: &Arguments<'_>) -> Result<Value, PromError> {
    let (to, replacement) = (arguments.text(1)?, arguments.text(2)?);
    let (from, pattern) = (arguments.text(3)?, arguments.text(4)?);
    check_label(&to)?;
    let pattern = regex(&format!("^(?s:{pattern})$")).map_err(|_| {
        let shown: String = pattern.chars().take(80).collect();
        PromError::BadData(format!(
            "label_replace: expected a regular expression that is not too large, got {shown:?}"
        ))
    })?;
    let elements = arguments.vector(0)?.into_iter();
    let replaced = elements.map(|element| {
        let Some(found) = pattern.captures(element.labels.get(&from)) else {
            return Ok(element);
        };
        let mut value = String::new();
        found.expand(&replacement, &mut value);
        relabelled(element, &to, &value)
    });
    Ok(Value::Vector(replaced.collect::<Result<_, _>>()?))
}

fn label_join(arguments: &Arguments<'_>) -> Result<Value, PromError> {
    let (to, separator) = (arguments.text(1)?, arguments.text(2)?);
    check_label(&to)?;
    let names: Vec<String> = (3..arguments.plans.len())
        .map(|index| arguments.text(index))
        .collect::<Result<_, _>>()?;
    let elements = arguments.vector(0)?.into_iter();
    let joined = elements.map(|element| {
        let values: Vec<&str> = names.iter().map(|name| element.labels.get(name)).collect();
        let value = values.join(&separator);
        relabelled(element, &to, &value)
    });
    Ok(Value::Vector(joined.collect::<Result<_, _>>()?))
}

/// An element with another value of a label, which must not grow with each function around it.
fn relabelled(element: Element, name: &str, value: &str) -> Result<Element, PromError> {
    if value.len() > MAX_LABEL_BYTES {
        let problem = format!(
            "expected a label's value of at most {MAX_LABEL_BYTES} bytes, got {}",
            value.len()
        );
        return Err(PromError::Execution(problem));
    }
    Ok(Element {
        labels: element.labels.with(name, value),
        ..element
    })
}
