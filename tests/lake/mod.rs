//! The lake: storage and queries.

mod adopt;
mod commits;
mod conformance;
mod damage;
pub mod faults;
mod folders;
mod future;
pub mod identity;
mod intents;
mod keys;
mod lake_file;
mod lost_catalog;
mod maintenance;
mod random;
mod rebuild;
mod repair;
mod short_names;
mod statistics;
mod takeover;
mod tools;

use std::sync::Arc;

use marketlake_entities::database;
use marketlake_lake::{Lake, LakeError, StagedSegments};
use marketlake_model::{Millis, Minute, Sample};

/// Publishes in a transaction of its own.
pub async fn publish(lake: &Lake, staged: &StagedSegments) -> Result<(), LakeError> {
    let transaction = database::begin_write(lake.database()).await?;
    let now = database::clock(&transaction).await?;
    staged.publish(&transaction, now).await?;
    transaction.commit().await?;
    lake.refresh_directory().await
}

/// Commits samples as ingest does: a raw segment a minute.
pub async fn ingest(lake: &Lake, samples: &[Sample]) {
    let mut minutes: Vec<Minute> = samples.iter().map(|sample| sample.ts).collect();
    minutes.sort_unstable();
    minutes.dedup();
    for minute in minutes {
        let of_minute = samples
            .iter()
            .filter(|sample| sample.ts == minute)
            .cloned()
            .collect();
        let staged = lake.ingest().stage_minute(of_minute).await.unwrap();
        publish(lake, &staged).await.unwrap();
    }
}

pub async fn import(lake: &Arc<Lake>, samples: &[Sample]) {
    lake.import(samples.to_vec(), Millis(0)).await.unwrap();
}

pub async fn compact_all(lake: &Lake) {
    let running = lake.newest().await.unwrap().unwrap().plus(60);
    for hour in lake.hours_to_compact(running).await.unwrap() {
        if let Some(staged) = lake.ingest().stage_compaction(hour).await.unwrap() {
            publish(lake, &staged).await.unwrap();
        }
    }
}

/// Merges every hour, then every day.
pub async fn compact_days(lake: &Lake) {
    compact_all(lake).await;
    let running = lake.newest().await.unwrap().unwrap().plus(1_440);
    for day in lake.days_to_compact(running).await.unwrap() {
        if let Some(staged) = lake.ingest().stage_day(day).await.unwrap() {
            publish(lake, &staged).await.unwrap();
        }
    }
}
