//! The tables, one sea-orm migration each. Later changes expand first and contract in a later
//! release, so that a running older version keeps working.

use sea_orm_migration::prelude::*;

mod m20261127_000001_create_segments;
mod m20261127_000002_create_metrics;
mod m20261127_000003_create_job_runs;
mod m20261127_000004_create_subscriptions;
mod m20261127_000005_create_subscription_events;
mod m20261127_000006_create_rule_spans;
mod m20261127_000007_create_rule_states;
mod m20261127_000008_create_transitions;
mod m20261127_000009_create_evidence;
mod m20261127_000010_create_alerts;
mod m20261127_000011_create_alert_notes;
mod m20261127_000012_create_deliveries;
mod m20261127_000013_create_delivery_alerts;
mod m20261127_000014_create_delivery_throttles;
mod m20261127_000015_create_suppressions;
mod m20261127_000016_create_bounces;
mod m20261127_000017_create_incidents;
mod m20261127_000018_create_signing_keys;
mod m20261127_000019_create_api_keys;
mod m20261127_000020_create_manifests;
mod m20261127_000021_create_upload_intents;
mod m20261127_000022_create_lake_identity;
mod m20261128_000023_create_gaps;
mod m20261128_000024_add_metrics_recorded_at;
mod table;

pub use sea_orm_migration::MigratorTrait;

/// Every migration, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261127_000001_create_segments::Migration),
            Box::new(m20261127_000002_create_metrics::Migration),
            Box::new(m20261127_000003_create_job_runs::Migration),
            Box::new(m20261127_000004_create_subscriptions::Migration),
            Box::new(m20261127_000005_create_subscription_events::Migration),
            Box::new(m20261127_000006_create_rule_spans::Migration),
            Box::new(m20261127_000007_create_rule_states::Migration),
            Box::new(m20261127_000008_create_transitions::Migration),
            Box::new(m20261127_000009_create_evidence::Migration),
            Box::new(m20261127_000010_create_alerts::Migration),
            Box::new(m20261127_000011_create_alert_notes::Migration),
            Box::new(m20261127_000012_create_deliveries::Migration),
            Box::new(m20261127_000013_create_delivery_alerts::Migration),
            Box::new(m20261127_000014_create_delivery_throttles::Migration),
            Box::new(m20261127_000015_create_suppressions::Migration),
            Box::new(m20261127_000016_create_bounces::Migration),
            Box::new(m20261127_000017_create_incidents::Migration),
            Box::new(m20261127_000018_create_signing_keys::Migration),
            Box::new(m20261127_000019_create_api_keys::Migration),
            Box::new(m20261127_000020_create_manifests::Migration),
            Box::new(m20261127_000021_create_upload_intents::Migration),
            Box::new(m20261127_000022_create_lake_identity::Migration),
            Box::new(m20261128_000023_create_gaps::Migration),
            Box::new(m20261128_000024_add_metrics_recorded_at::Migration),
        ]
    }
}
