//! Tables of the database, one sea-orm entity a file. Times are
//! [`Millis`](marketlake_model::Millis).

pub mod alert_notes;
pub mod alerts;
pub mod api_keys;
pub mod bounces;
pub mod deliveries;
pub mod delivery_alerts;
pub mod delivery_throttles;
pub mod evidence;
pub mod gaps;
pub mod incidents;
pub mod job_runs;
mod keyset;
pub mod lake_identity;
pub mod manifests;
pub mod metrics;
pub mod rule_spans;
pub mod rule_states;
pub mod segments;
pub mod signing_keys;
pub mod subscription_events;
pub mod subscriptions;
pub mod suppressions;
pub mod transitions;
pub mod upload_intents;
