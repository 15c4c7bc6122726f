//! A metric as Prometheus names it: `price{market="binance",pair="hottry"}`. The measure is its name.

use std::collections::BTreeMap;
use std::sync::Arc;

use marketlake_entities::Metric;
use promql_parser::label::{MatchOp, Matcher, Matchers};

pub(super) const NAME: &str = "__name__";

/// Names and values, by name. Cheap to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Labels(Arc<BTreeMap<String, String>>);

impl Labels {
    pub(super) fn of(metric: &Metric) -> Self {
        let labels = [
            (NAME, name(metric.measure())),
            ("market", metric.market().to_owned()),
            ("pair", metric.pair().to_owned()),
        ];
        labels
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
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

    pub(super) fn match_all(&self, matchers: &Matchers) -> bool {
        let all = |matchers: &[Matcher]| matchers.iter().all(|m| m.is_match(self.get(&m.name)));
        all(&matchers.matchers)
            && (matchers.or_matchers.is_empty() || matchers.or_matchers.iter().any(|m| all(m)))
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

/// A measure as a name: letters, digits and `_`, no digit first.
fn name(measure: &str) -> String {
    let mut name: String = measure
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
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
