//! Binary operators.

use std::collections::{HashMap, HashSet};

use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD,
    T_MUL, T_NEQ, T_POW, T_SUB, TokenType,
};
use promql_parser::parser::{BinModifier, LabelModifier, VectorMatchCardinality};

use super::labels::{Labels, NAME};
use super::value::{Element, PromError, Value};

pub(super) fn apply(
    operator: TokenType,
    left: Value,
    right: Value,
    modifier: Option<&BinModifier>,
) -> Result<Value, PromError> {
    let returns_bool = modifier.is_some_and(|modifier| modifier.return_bool);
    let is_comparison = operator.is_comparison_operator();
    if modifier.is_some_and(|m| m.fill_values.lhs.is_some() || m.fill_values.rhs.is_some()) {
        return Err(PromError::not_covered("the modifier fill"));
    }
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            Value::Scalar(calculate(operator, left, right)?)
        }
        (Value::Vector(left), Value::Vector(right)) => {
            let matching = Matching::of(modifier);
            Value::Vector(if operator.is_set_operator() {
                of_sets(operator, left, right, &matching)
            } else {
                of_vectors(operator, left, right, &matching, returns_bool)?
            })
        }
        (Value::Vector(elements), Value::Scalar(right)) => {
            let kept = elements.into_iter().map(|element| {
                let computed = calculate(operator, element.value, right)?;
                Ok(outcome(element, computed, is_comparison, returns_bool))
            });
            Value::Vector(present(kept)?)
        }
        (Value::Scalar(left), Value::Vector(elements)) => {
            let kept = elements.into_iter().map(|element| {
                let computed = calculate(operator, left, element.value)?;
                Ok(outcome(element, computed, is_comparison, returns_bool))
            });
            Value::Vector(present(kept)?)
        }
        (left, right) => {
            left.vector()?;
            return Ok(Value::Vector(right.vector()?));
        }
    })
}

fn present(
    kept: impl Iterator<Item = Result<Option<Element>, PromError>>,
) -> Result<Vec<Element>, PromError> {
    kept.filter_map(Result::transpose).collect()
}

/// A comparison keeps what it is true of, or says so with 0 or 1.
fn outcome(
    element: Element,
    computed: f64,
    is_comparison: bool,
    returns_bool: bool,
) -> Option<Element> {
    if is_comparison && !returns_bool {
        return (computed != 0.0).then_some(element);
    }
    Some(Element {
        labels: element.labels.without_name(),
        value: computed,
    })
}

fn calculate(operator: TokenType, left: f64, right: f64) -> Result<f64, PromError> {
    let truth = |is: bool| f64::from(u8::from(is));
    Ok(match operator.id() {
        T_ADD => left + right,
        T_SUB => left - right,
        T_MUL => left * right,
        T_DIV => left / right,
        T_MOD => left % right,
        T_POW => left.powf(right),
        T_ATAN2 => left.atan2(right),
        T_EQLC => truth(left == right),
        T_NEQ => truth(left != right),
        T_GTR => truth(left > right),
        T_LSS => truth(left < right),
        T_GTE => truth(left >= right),
        T_LTE => truth(left <= right),
        _ => return Err(PromError::not_covered(&format!("the operator {operator}"))),
    })
}

/// Matches the elements of the two sides.
struct Matching<'a> {
    labels: Option<&'a LabelModifier>,
    cardinality: VectorMatchCardinality,
}

impl<'a> Matching<'a> {
    fn of(modifier: Option<&'a BinModifier>) -> Self {
        Self {
            labels: modifier.and_then(|modifier| modifier.matching.as_ref()),
            cardinality: modifier.map_or(VectorMatchCardinality::OneToOne, |m| m.card.clone()),
        }
    }

    /// The labels by which elements belong together.
    fn key(&self, labels: &Labels) -> Labels {
        match self.labels {
            None => labels.without_name(),
            Some(LabelModifier::Include(on)) => {
                labels.only(|name| on.labels.iter().any(|l| l == name))
            }
            Some(LabelModifier::Exclude(ignored)) => {
                labels.only(|name| name != NAME && !ignored.labels.iter().any(|l| l == name))
            }
        }
    }
}

fn of_sets(
    operator: TokenType,
    left: Vec<Element>,
    right: Vec<Element>,
    matching: &Matching<'_>,
) -> Vec<Element> {
    let keys = |elements: &[Element]| -> HashSet<Labels> {
        elements.iter().map(|e| matching.key(&e.labels)).collect()
    };
    let others = keys(&right);
    match operator.id() {
        T_LAND => left
            .into_iter()
            .filter(|e| others.contains(&matching.key(&e.labels)))
            .collect(),
        T_LUNLESS => left
            .into_iter()
            .filter(|e| !others.contains(&matching.key(&e.labels)))
            .collect(),
        T_LOR => {
            let own = keys(&left);
            let more = right
                .into_iter()
                .filter(|e| !own.contains(&matching.key(&e.labels)));
            left.into_iter().chain(more).collect()
        }
        _ => Vec::new(),
    }
}

fn of_vectors(
    operator: TokenType,
    left: Vec<Element>,
    right: Vec<Element>,
    matching: &Matching<'_>,
    returns_bool: bool,
) -> Result<Vec<Element>, PromError> {
    let is_swapped = matches!(matching.cardinality, VectorMatchCardinality::OneToMany(_));
    let (many, one) = if is_swapped {
        (right, left)
    } else {
        (left, right)
    };
    let mut single: HashMap<Labels, Element> = HashMap::new();
    for element in one {
        if let Some(twin) = single.insert(matching.key(&element.labels), element) {
            return Err(ambiguous(&twin.labels));
        }
    }
    let is_grouped = !matches!(matching.cardinality, VectorMatchCardinality::OneToOne);
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for element in many {
        let key = matching.key(&element.labels);
        let Some(other) = single.get(&key) else {
            continue;
        };
        let (a, b) = if is_swapped {
            (other.value, element.value)
        } else {
            (element.value, other.value)
        };
        let computed = calculate(operator, a, b)?;
        if operator.is_comparison_operator() && !returns_bool && computed == 0.0 {
            continue;
        }
        let keeps_value = operator.is_comparison_operator() && !returns_bool;
        let labels = result_labels(&element, other, matching, keeps_value, &key);
        if !seen.insert(if is_grouped { labels.clone() } else { key }) {
            return Err(ambiguous(&element.labels));
        }
        found.push(Element {
            labels,
            value: if keeps_value { a } else { computed },
        });
    }
    Ok(found)
}

fn result_labels(
    element: &Element,
    other: &Element,
    matching: &Matching<'_>,
    keeps_name: bool,
    key: &Labels,
) -> Labels {
    let own = if keeps_name {
        element.labels.clone()
    } else {
        element.labels.without_name()
    };
    match matching.cardinality.labels() {
        Some(taken) => taken.labels.iter().fold(own, |labels, name| {
            labels.with(name, other.labels.get(name))
        }),
        None if keeps_name => match matching.labels {
            Some(LabelModifier::Include(_)) => key.clone(),
            Some(LabelModifier::Exclude(ignored)) => {
                own.only(|name| !ignored.labels.iter().any(|l| l == name))
            }
            None => own,
        },
        None => key.clone(),
    }
}

fn ambiguous(labels: &Labels) -> PromError {
    PromError::Execution(format!(
        "several elements of one side match the same one of the other side, {}; use \
         on(..), ignoring(..), group_left or group_right",
        labels.to_json()
    ))
}
