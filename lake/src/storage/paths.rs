//! Keys of the lake's objects, built and parsed:
//! `TIER/dt=2026-11-24/hour=10/31-UUID.parquet`; a day's segment has no hour.

use std::fmt;

use marketlake_entities::records::segments::Tier;
use marketlake_model::{Millis, Minute};
use object_store::path::Path;
use uuid::Uuid;

use crate::storage::local_folder;

/// Kind of object that a segment consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// Rows of (metric, ts, value).
    Samples,
    /// Sums per metric and hour that go with samples.
    Rollups,
}

/// Key of an object of a segment, relative to the store's root. [`fmt::Display`] writes it and
/// [`Self::parse`] reads it back; no other text parses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Samples or rollups.
    pub kind: ObjectKind,
    /// Tier of the segment. Rollups of a raw segment lie with those of an hour, and parse as such.
    pub tier: Tier,
    /// Minute that the key names: the first sample's; of a day's segment, the day's first minute.
    pub first: Minute,
    /// Unique part of the name, a UUID of version 7.
    pub id: Uuid,
}

impl ObjectKey {
    /// Creates a key that was never used before, so that no object is ever overwritten.
    pub(crate) fn new(kind: ObjectKind, tier: Tier, first: Minute) -> Self {
        let tier = match (kind, tier) {
            (ObjectKind::Rollups, Tier::Raw) => Tier::Hour,
            _ => tier,
        };
        Self {
            kind,
            tier,
            first: if tier == Tier::Day {
                first.day()
            } else {
                first
            },
            id: Uuid::now_v7(),
        }
    }

    /// Parses a key. `None` for whatever this version does not write: names of other programs,
    /// other spellings, dates that no calendar has.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (folder, rest) = text.split_once('/')?;
        let (kind, tier) = match folder {
            "raw" => (ObjectKind::Samples, Tier::Raw),
            "hour" => (ObjectKind::Samples, Tier::Hour),
            "day" => (ObjectKind::Samples, Tier::Day),
            "rollup-hour" => (ObjectKind::Rollups, Tier::Hour),
            "rollup-day" => (ObjectKind::Rollups, Tier::Day),
            _ => return None,
        };
        let (date, rest) = rest.strip_prefix("dt=")?.split_once('/')?;
        let day = Minute::from_date(date)?;
        let (first, name) = if tier == Tier::Day {
            (day, rest)
        } else {
            let (hour, rest) = rest.strip_prefix("hour=")?.split_once('/')?;
            let (minute, name) = rest.split_once('-')?;
            let (hour, minute): (u8, u8) = (hour.parse().ok()?, minute.parse().ok()?);
            if hour > 23 || minute > 59 {
                return None;
            }
            (day.plus(i64::from(hour) * 60 + i64::from(minute)), name)
        };
        let id = Uuid::try_parse(name.strip_suffix(".parquet")?).ok()?;
        let key = Self {
            kind,
            tier,
            first,
            id,
        };
        // One spelling only: no upper case, no hyphens in the UUID, two digits each.
        (id.get_version_num() == 7 && key.to_string() == text).then_some(key)
    }

    /// Returns the first minute of the day that the object lies in.
    #[must_use]
    pub fn day(&self) -> Minute {
        self.first.day()
    }

    /// Returns the first minute of the hour that the object lies in; of a day's object, the day's.
    #[must_use]
    pub fn hour(&self) -> Minute {
        self.first.hour()
    }

    /// Returns when the key was made, by the clock of the process that wrote the object.
    #[must_use]
    pub fn created_at(&self) -> Millis {
        created_at(self.id)
    }

    pub(crate) fn path(&self) -> Path {
        Path::from(self.to_string())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = match (self.kind, self.tier) {
            (ObjectKind::Samples, Tier::Raw) => "raw",
            (ObjectKind::Samples, Tier::Hour) => "hour",
            (ObjectKind::Samples, Tier::Day) => "day",
            (ObjectKind::Rollups, Tier::Raw | Tier::Hour) => "rollup-hour",
            (ObjectKind::Rollups, Tier::Day) => "rollup-day",
        };
        write!(f, "{folder}/dt={}/", self.first.date())?;
        if self.tier != Tier::Day {
            let minute = self.first.number().rem_euclid(60);
            write!(f, "hour={:02}/{minute:02}-", self.first.hour_of_day())?;
        }
        write!(f, "{}.parquet", self.id.simple())
    }
}

/// Parses the key of a segment's object; the only way by which a key that comes from outside (a
/// listing) becomes a candidate for anything.
pub(crate) fn parse(path: &Path) -> Option<ObjectKey> {
    ObjectKey::parse(path.as_ref())
}

/// Creates a new key for the samples of a segment.
pub(crate) fn new_key(tier: Tier, first: Minute) -> Path {
    ObjectKey::new(ObjectKind::Samples, tier, first).path()
}

/// Creates a new key for the rollups that go with a segment.
pub(crate) fn new_rollup_key(tier: Tier, first: Minute) -> Path {
    ObjectKey::new(ObjectKind::Rollups, tier, first).path()
}

/// Creates a new key for an export, which vacuum deletes.
pub(crate) fn new_export() -> Path {
    Path::from(format!("export/{}.parquet", Uuid::now_v7().simple()))
}

/// Returns whether a key is one that [`new_export`] makes.
pub(crate) fn is_export(key: &Path) -> bool {
    let name = key.as_ref().strip_prefix("export/");
    let id = name.and_then(|name| name.strip_suffix(".parquet"));
    id.is_some_and(|id| Uuid::try_parse(id).is_ok_and(|parsed| parsed.simple().to_string() == id))
}

/// Returns whether a key is one of a result of Athena's, `results/UUID.csv` or `.txt`, or of what
/// goes with it.
pub(crate) fn is_result(key: &Path) -> bool {
    let Some(name) = key.as_ref().strip_prefix("results/") else {
        return false;
    };
    let name = name.strip_suffix(".metadata").unwrap_or(name);
    let id = name
        .strip_suffix(".csv")
        .or_else(|| name.strip_suffix(".txt"));
    id.is_some_and(|id| Uuid::try_parse(id).is_ok_and(|parsed| parsed.to_string() == id))
}

/// Returns a key that may be deleted where a row or an intent names it; `None` for any other text.
pub(crate) fn deletable(text: &str) -> Option<Path> {
    let path = Path::parse(text).ok()?;
    let is_own = parse(&path).is_some() || is_export(&path) || is_result(&path);
    is_own.then_some(path)
}

/// The object that says which lake it is.
pub(crate) fn identity() -> Path {
    Path::from("lake.json")
}

/// Returns whether a key is of what goes with every lake: the identity and its lock.
pub(crate) fn is_internal(key: &Path) -> bool {
    [identity().as_ref(), local_folder::LOCK].contains(&key.as_ref())
}

/// Returns whether a key is marketlake's, but of no segment: exports, results, manifests, probes.
pub(crate) fn is_own(key: &Path) -> bool {
    let is_probe = key.as_ref().starts_with("doctor/");
    is_probe || is_export(key) || is_result(key) || is_manifest(key)
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

/// Returns whether a key is a manifest's.
pub(crate) fn is_manifest(key: &Path) -> bool {
    key.parts()
        .next()
        .is_some_and(|first| first.as_ref() == ATHENA)
}

/// Time within a UUID of version 7: its first 48 bits, in milliseconds.
fn created_at(id: Uuid) -> Millis {
    Millis(i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX))
}
