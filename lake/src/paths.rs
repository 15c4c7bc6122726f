//! Every key of the lake is built here: `TIER/dt=2026-11-24/hour=10/NAME.parquet`; a day's segment has no hour.

use marketlake_entities::Minute;
use marketlake_entities::records::segments::Tier;
use object_store::path::Path;
use uuid::Uuid;

/// A key that was never used before, so that no object is ever overwritten.
pub(crate) fn new_key(tier: Tier, first: Minute) -> Path {
    match tier {
        Tier::Raw => of_hour("raw", first),
        Tier::Hour => of_hour("hour", first),
        Tier::Day => of_day("day", first),
    }
}

/// A new key for the rollups that go with a segment.
pub(crate) fn new_rollup_key(tier: Tier, first: Minute) -> Path {
    match tier {
        Tier::Raw | Tier::Hour => of_hour("rollup-hour", first),
        Tier::Day => of_day("rollup-day", first),
    }
}

/// A new key for a file that somebody fetches, and vacuum deletes.
pub(crate) fn new_export() -> Path {
    Path::from(format!("export/{}.parquet", Uuid::now_v7().simple()))
}

/// Below it lies what Athena's tables are made of, and nothing that a segment's row names.
const ATHENA: &str = "athena";

/// The folder of one of Athena's tables.
pub(crate) fn athena_table(table: &str) -> Path {
    Path::from(format!("{ATHENA}/{table}"))
}

/// The object that lists what a day of a table is made of.
pub(crate) fn manifest(table: &str, day: Minute) -> Path {
    Path::from(format!("{ATHENA}/{table}/dt={}/symlink.txt", day.date()))
}

/// Whether a key is a manifest's.
pub(crate) fn is_manifest(key: &Path) -> bool {
    key.parts()
        .next()
        .is_some_and(|first| first.as_ref() == ATHENA)
}

fn of_hour(folder: &str, first: Minute) -> Path {
    let minute = first.number().rem_euclid(60);
    Path::from(format!(
        "{folder}/dt={}/hour={:02}/{minute:02}-{}.parquet",
        first.date(),
        first.hour_of_day(),
        Uuid::now_v7().simple()
    ))
}

fn of_day(folder: &str, first: Minute) -> Path {
    let name = Uuid::now_v7().simple();
    Path::from(format!("{folder}/dt={}/{name}.parquet", first.date()))
}
