//! Every key of the lake is built here: `TIER/dt=2026-11-24/hour=10/NAME.parquet`.

use marketlake_entities::Minute;
use marketlake_entities::records::segments::Tier;
use object_store::path::Path;
use uuid::Uuid;

/// A key that was never used before, so that no object is ever overwritten.
pub(crate) fn new_key(tier: Tier, first: Minute) -> Path {
    let folder = match tier {
        Tier::Raw => "raw",
        Tier::Hour => "hour",
    };
    let minute = first.number().rem_euclid(60);
    let name = format!("{minute:02}-{}", Uuid::now_v7().simple());
    Path::from(format!(
        "{folder}/dt={}/hour={:02}/{name}.parquet",
        first.date(),
        first.hour_of_day()
    ))
}
