//! Keys of objects: what the lake writes parses, and nothing else does.

use marketlake_entities::records::segments::Tier;
use marketlake_lake::{ObjectKey, ObjectKind};
use marketlake_model::Minute;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::{compact_days, ingest};
use crate::support::base::{Base, on_both};
use crate::support::samples::{sample, start};

const ID: &str = "019ab3c4d5e67f8899aabbccddeeff00";

fn keys() -> impl Strategy<Value = String> {
    let folders = vec!["raw", "hour", "day", "rollup-hour", "rollup-day"];
    // Years 1 to 9999, and a few beyond.
    let minutes = -1_035_593_280_i64..6_000_000_000;
    (select(folders), minutes, any::<u128>()).prop_map(|(folder, minute, random)| {
        let first = Minute::from_number(minute);
        // Version 7, and the variant that all have.
        let (version, variant) = (0xf_u128 << 76, 0b11_u128 << 62);
        let id = (random & !version & !variant) | (7_u128 << 76) | (0b10_u128 << 62);
        let date = first.date();
        if folder.ends_with("day") {
            return format!("{folder}/dt={date}/{id:032x}.parquet");
        }
        let (hour, minute) = (first.hour_of_day(), minute.rem_euclid(60));
        format!("{folder}/dt={date}/hour={hour:02}/{minute:02}-{id:032x}.parquet")
    })
}

#[test]
fn every_key_parses_and_is_written_as_it_was_read() {
    let mut runner = TestRunner::new(Config::with_cases(2_000));
    let round_trip = runner.run(&keys(), |text| {
        let key = ObjectKey::parse(&text);
        prop_assert!(key.is_some(), "{text} does not parse");
        prop_assert_eq!(key.map(|key| key.to_string()), Some(text));
        Ok(())
    });
    round_trip.unwrap();
}

#[test]
fn a_key_with_one_character_changed_is_another_key_or_none() {
    let mut runner = TestRunner::new(Config::with_cases(5_000));
    let changed = (keys(), any::<prop::sample::Index>(), any::<char>());
    let outcome = runner.run(&changed, |(text, at, new)| {
        let mut characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        characters[at] = new;
        let other: String = characters.into_iter().collect();
        if let Some(key) = ObjectKey::parse(&other) {
            prop_assert_eq!(key.to_string(), other);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn names_of_others_and_other_spellings_do_not_parse() {
    let refused = [
        "",
        "README.txt",
        "backups/other.tar",
        "raw/dt=2026-11-24/hour=10/31-notes.parquet",
        &format!("day/dt=2026-11-24/{ID}.parquet.bak"),
        &format!("day/dt=2026-11-24/copy of {ID}.parquet"),
        &format!("day/dt=2026-02-30/{ID}.parquet"),
        &format!("day/dt=2026-11-24/hour=10/00-{ID}.parquet"),
        &format!("day/dt=2026-11-24/{}.parquet", ID.to_uppercase()),
        "day/dt=2026-11-24/019ab3c4-d5e6-7f88-99aa-bbccddeeff00.parquet",
        // Not of version 7.
        "day/dt=2026-11-24/019ab3c4d5e64f8899aabbccddeeff00.parquet",
        &format!("raw/dt=2026-11-24/hour=24/00-{ID}.parquet"),
        &format!("raw/dt=2026-11-24/hour=1/00-{ID}.parquet"),
        &format!("raw/dt=2026-11-24/hour=10/60-{ID}.parquet"),
        &format!("raw/dt=2026-11-24/hour=10/+1-{ID}.parquet"),
        &format!("raw/dt=2026-11-24/{ID}.parquet"),
        &format!("week/dt=2026-11-24/{ID}.parquet"),
        &format!("/day/dt=2026-11-24/{ID}.parquet"),
        &format!("day//dt=2026-11-24/{ID}.parquet"),
        &format!("x/day/dt=2026-11-24/{ID}.parquet"),
        &format!("export/{ID}.parquet"),
        "athena/samples/dt=2026-11-24/symlink.txt",
        "lake.json",
    ];
    for text in refused {
        assert_eq!(ObjectKey::parse(text), None, "{text:?}");
    }
}

#[test]
fn a_key_names_its_time_and_when_it_was_made() {
    let key = ObjectKey::parse(&format!("raw/dt=2026-11-24/hour=10/31-{ID}.parquet")).unwrap();
    assert_eq!((key.kind, key.tier), (ObjectKind::Samples, Tier::Raw));
    assert_eq!(key.first.to_string(), "2026-11-24T10:31:00Z");
    assert_eq!(key.hour().to_string(), "2026-11-24T10:00:00Z");
    assert_eq!(key.day().to_string(), "2026-11-24T00:00:00Z");
    assert_eq!(key.created_at().0, 0x019a_b3c4_d5e6);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_that_the_lake_writes_has_a_key_that_parses() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &[sample("a:one", 0, "1"), sample("a:one", 61, "2")]).await;
        compact_days(&lake).await;
        let mut seen = Vec::new();
        for segment in lake.segments(None, None, true, 100).await.unwrap() {
            let samples = ObjectKey::parse(&segment.path).unwrap();
            assert_eq!(
                (samples.kind, samples.tier),
                (ObjectKind::Samples, segment.tier)
            );
            assert_eq!(samples.day(), start().day());
            let rollups = segment.rollup_path.as_deref().map(ObjectKey::parse);
            if let Some(rollups) = rollups {
                let rollups = rollups.unwrap();
                assert_eq!(
                    (rollups.kind, rollups.tier),
                    (ObjectKind::Rollups, segment.tier)
                );
            }
            seen.push(segment.tier);
        }
        assert_eq!(
            seen,
            [Tier::Raw, Tier::Raw, Tier::Hour, Tier::Hour, Tier::Day]
        );
    })
    .await;
}
