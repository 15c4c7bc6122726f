//! Aggregation operators.

use std::collections::BTreeMap;

use promql_parser::parser::LabelModifier;
use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV,
    T_STDVAR, T_SUM, T_TOPK, TokenType,
};

use super::bounds::check_label;
use super::labels::{Labels, NAME};
use super::statistics::{mean, order, quantile, sum, variance};
use super::value::{Element, PromError, Value};

pub(super) fn apply(
    operator: TokenType,
    elements: Vec<Element>,
    parameter: Option<Value>,
    by: Option<&LabelModifier>,
) -> Result<Vec<Element>, PromError> {
    let mut groups: BTreeMap<Labels, Vec<Element>> = BTreeMap::new();
    for element in elements {
        groups
            .entry(key(&element.labels, by))
            .or_default()
            .push(element);
    }
    let parameter = || {
        parameter
            .clone()
            .ok_or_else(|| PromError::BadData(format!("{operator}: expected a parameter")))
    };
    match operator.id() {
        T_TOPK | T_BOTTOMK => {
            let wanted = parameter()?.scalar()?;
            let groups = groups.into_values();
            Ok(groups
                .flat_map(|group| first(group, wanted, operator.id() == T_TOPK))
                .collect())
        }
        T_COUNT_VALUES => {
            let name = parameter()?.text()?;
            check_label(&name)?;
            Ok(groups
                .into_iter()
                .flat_map(|(labels, group)| measure_cost(&labels, &group, &name))
                .collect())
        }
        _ => {
            let share = match operator.id() {
                T_QUANTILE => parameter()?.scalar()?,
                _ => 0.0,
            };
            let folded = groups.into_iter().map(|(labels, group)| {
                let value = fold(operator, &group, share)?;
                Ok(Element { labels, value })
            });
            folded.collect()
        }
    }
}

fn key(labels: &Labels, by: Option<&LabelModifier>) -> Labels {
    match by {
        None => Labels::default(),
        Some(LabelModifier::Include(by)) => labels.only(|name| by.labels.iter().any(|l| l == name)),
        Some(LabelModifier::Exclude(without)) => {
            labels.only(|name| name != NAME && !without.labels.iter().any(|l| l == name))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "PromQL's numbers are floats")]
fn fold(operator: TokenType, group: &[Element], share: f64) -> Result<f64, PromError> {
    let values = || group.iter().map(|element| element.value);
    Ok(match operator.id() {
        T_SUM => sum(values()),
        T_AVG => mean(values()),
        T_COUNT => group.len() as f64,
        T_MIN => values().fold(f64::NAN, f64::min),
        T_MAX => values().fold(f64::NAN, f64::max),
        T_GROUP => 1.0,
        T_STDDEV => variance(values()).sqrt(),
        T_STDVAR => variance(values()),
        T_QUANTILE => quantile(share, values().collect()),
        _ => {
            return Err(PromError::not_covered(&format!(
                "the aggregation {operator}"
            )));
        }
    })
}

/// First elements by value, at most `wanted`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is at least 1, and what is too much is all"
)]
fn first(mut group: Vec<Element>, wanted: f64, highest: bool) -> Vec<Element> {
    group.sort_by(|a, b| order(a.value, b.value, highest));
    group.truncate(if wanted >= 1.0 { wanted as usize } else { 0 });
    group
}

#[expect(clippy::cast_precision_loss, reason = "PromQL's numbers are floats")]
fn measure_cost(labels: &Labels, group: &[Element], name: &str) -> Vec<Element> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for element in group {
        *counts
            .entry(super::answer::number(element.value))
            .or_default() += 1;
    }
    let counted = counts.into_iter().map(|(value, count)| Element {
        labels: labels.with(name, &value),
        value: count as f64,
    });
    counted.collect()
}
