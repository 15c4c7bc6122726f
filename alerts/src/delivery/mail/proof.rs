//! Machine-readable proof of an alert: the rows, the numbers and the rule.

use marketlake_entities::records::alerts;
use serde::Serialize;

use crate::error::AlertError;
use crate::rules::evidence::Evidence;
use crate::rules::rule::Rule;
use crate::subscriptions::Subscription;

/// The proof of one alert, as JSON. Values are text with all their digits; the last sample is the
/// one that jumped.
#[derive(Serialize)]
pub(super) struct Proof<'a> {
    alert: &'a str,
    subscription: &'a str,
    revision: i32,
    metric: &'a str,
    timestamp: String,
    value: &'a str,
    mean: f64,
    ratio: f64,
    count: i32,
    rule: &'a Rule,
    /// The function that decided, by its version.
    detector: i32,
    decided_at: String,
    samples: Vec<(String, String)>,
    /// Ids of the segments that held the samples.
    segments: &'a [i64],
}

impl<'a> Proof<'a> {
    pub(super) fn of(
        alert: &'a alerts::Model,
        subscription: &'a Subscription,
        evidence: Option<&'a Evidence>,
    ) -> Self {
        let points = evidence.map_or(&[][..], |evidence| &evidence.points);
        Self {
            alert: &alert.id,
            subscription: &alert.subscription_id,
            revision: alert.revision,
            metric: &alert.metric,
            timestamp: alert.ts.to_string(),
            value: &alert.value,
            mean: alert.mean,
            ratio: alert.ratio,
            count: alert.samples,
            rule: subscription.rule(),
            detector: alert.detector,
            decided_at: alert.created_at.to_string(),
            samples: points
                .iter()
                .map(|point| (point.ts.to_string(), point.value.to_string()))
                .collect(),
            segments: evidence.map_or(&[], |evidence| &evidence.segments),
        }
    }
}

/// Several proofs, or one, as the bytes of a file.
pub(super) fn file(proofs: &[Proof<'_>]) -> Result<Vec<u8>, AlertError> {
    let written = match proofs {
        [one] => serde_json::to_vec_pretty(one),
        many => serde_json::to_vec(many),
    };
    written.map_err(|error| AlertError::Message(format!("proof: {error}").into()))
}
