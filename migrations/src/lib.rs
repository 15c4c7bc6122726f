//! The tables, one sea-orm migration a change. Changes expand first and contract in a later release,
//! so that a running older version keeps working.

use sea_orm_migration::prelude::*;

mod m20261124_000001_create_segments;
mod m20261124_000002_create_metrics;
mod m20261124_000003_create_job_runs;
mod m20261124_000004_create_subscriptions;
mod m20261124_000005_create_alerts;
mod m20261124_000006_create_deliveries;
mod m20261125_000007_add_rollups_to_segments;
mod m20261125_000008_index_open_job_runs;
mod m20261125_000009_extend_subscriptions;
mod m20261125_000010_create_watches;
mod m20261125_000011_extend_alerts;
mod m20261125_000012_rebuild_deliveries;
mod m20261125_000013_create_trust;
mod m20261125_000014_create_api_keys;
mod m20261125_000015_create_manifests;
mod m20261126_000016_create_upload_intents;
mod m20261126_000020_create_delivery_throttles;

pub use sea_orm_migration::MigratorTrait;

/// Every migration, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_create_segments::Migration),
            Box::new(m20261124_000002_create_metrics::Migration),
            Box::new(m20261124_000003_create_job_runs::Migration),
            Box::new(m20261124_000004_create_subscriptions::Migration),
            Box::new(m20261124_000005_create_alerts::Migration),
            Box::new(m20261124_000006_create_deliveries::Migration),
            Box::new(m20261125_000007_add_rollups_to_segments::Migration),
            Box::new(m20261125_000008_index_open_job_runs::Migration),
            Box::new(m20261125_000009_extend_subscriptions::Migration),
            Box::new(m20261125_000010_create_watches::Migration),
            Box::new(m20261125_000011_extend_alerts::Migration),
            Box::new(m20261125_000012_rebuild_deliveries::Migration),
            Box::new(m20261125_000013_create_trust::Migration),
            Box::new(m20261125_000014_create_api_keys::Migration),
            Box::new(m20261125_000015_create_manifests::Migration),
            Box::new(m20261126_000016_create_upload_intents::Migration),
            Box::new(m20261126_000020_create_delivery_throttles::Migration),
        ]
    }
}
