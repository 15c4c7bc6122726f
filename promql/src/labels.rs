//! Labels of a metric: `price{market="binance",pair="hottry"}`. The measure is the name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use marketlake_model::Metric;
use promql_parser::label::{MatchOp, Matcher, Matchers};

pub(super) const NAME: &str = "__name__";
const MARKET: &str = "market";
const PAIR: &str = "pair";
/// The labels that every metric has.
pub(super) const NAMES: [&str; 3] = [NAME, MARKET, PAIR];

/// Names and values, by name. Cheap to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Labels(Arc<BTreeMap<String, String>>);

impl Labels {
    pub(super) fn of(metric: &Metric) -> Self {
        NAMES
            .into_iter()
            .map(|name| (name.to_owned(), label(metric, name).into_owned()))
            .collect()
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Those whose names are wanted.
    pub(super) fn only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let all = self.iter().filter(|(name, _)| wanted(name));
        all.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    pub(super) fn without_name(&self) -> Self {
        self.only(|name| name != NAME)
    }

    /// With another value; without the label, where the value is empty.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut labels = (*self.0).clone();
        if value.is_empty() {
            labels.remove(name);
        } else {
            labels.insert(name.to_owned(), value.to_owned());
        }
        Self(Arc::new(labels))
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let fields = self
            .iter()
            .map(|(name, value)| (name.to_owned(), value.into()));
        serde_json::Value::Object(fields.collect())
    }
}

impl FromIterator<(String, String)> for Labels {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(labels: I) -> Self {
        Self(Arc::new(labels.into_iter().collect()))
    }
}

/// The value of a metric's label; empty where it has none of that name.
pub(super) fn label<'a>(metric: &'a Metric, name: &str) -> Cow<'a, str> {
    match name {
        NAME => measure_name(metric.measure()),
        MARKET => metric.market().into(),
        PAIR => metric.pair().into(),
        _ => "".into(),
    }
}

/// A measure as a name: letters, digits and `_`, no digit first.
fn measure_name(measure: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_with_digit = measure.starts_with(|c: char| c.is_ascii_digit());
    if !begins_with_digit && measure.chars().all(fits) {
        return measure.into();
    }
    let letters = measure.chars().map(|c| if fits(c) { c } else { '_' });
    let first = begins_with_digit.then_some('_');
    first.into_iter().chain(letters).collect()
}

/// Whether a metric is one that matchers mean.
pub(super) fn means(matchers: &Matchers, metric: &Metric) -> bool {
    let all = |matchers: &[Matcher]| {
        matchers
            .iter()
            .all(|matcher| matcher.is_match(&label(metric, &matcher.name)))
    };
    all(&matchers.matchers)
        && (matchers.or_matchers.is_empty() || matchers.or_matchers.iter().any(|m| all(m)))
}

/// The matchers of a selector; the name before the braces is one.
pub(super) fn matchers(selector: &promql_parser::parser::VectorSelector) -> Matchers {
    let mut matchers = selector.matchers.clone();
    if let Some(name) = &selector.name {
        let named = Matcher::new(MatchOp::Equal, NAME, name);
        matchers.matchers.push(named);
    }
    matchers
}
