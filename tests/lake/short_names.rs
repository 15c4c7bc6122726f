//! Short names: the market that owns each.

use std::sync::Arc;

use marketlake_entities::database;
use marketlake_lake::{Directory, DirectoryEntry, Lake, Store};
use marketlake_migrations::{Migrator, MigratorTrait};
use marketlake_model::{Metric, Millis};
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::ingest;
use super::rebuild::rebuilt;
use crate::rest::{HISTORY, serve};
use crate::support::base::{Base, on_both};
use crate::support::program::Program;
use crate::support::samples::{metric, sample, series};

/// A metric that a feed recorded first at a time.
fn recorded(id: &str, at: i64) -> DirectoryEntry {
    DirectoryEntry {
        metric: metric(id),
        created_at: Millis(at),
        recorded_at: Some(Millis(at)),
    }
}

/// A metric that only imports brought, the first one at a time.
fn imported(id: &str, at: i64) -> DirectoryEntry {
    DirectoryEntry {
        metric: metric(id),
        created_at: Millis(at),
        recorded_at: None,
    }
}

fn directory(entries: &[DirectoryEntry], order: &[&str]) -> Directory {
    let order: Vec<String> = order.iter().map(ToString::to_string).collect();
    Directory::new(entries.to_vec(), &order)
}

/// The id that a name stands for.
fn meant(directory: &Directory, name: &str) -> Option<String> {
    directory.resolve(name).map(|metric| metric.id().to_owned())
}

fn ids(metrics: &[Metric]) -> Vec<&str> {
    metrics.iter().map(Metric::id).collect()
}

/// The lake with feeds of some markets.
async fn lake_of(base: &Base, order: &[&str]) -> Arc<Lake> {
    let store = Store::open(&base.store).await.unwrap();
    let order = order.iter().map(ToString::to_string).collect();
    Lake::open(base.database().await, store, order)
        .await
        .unwrap()
}

/// Waits for the next millisecond of the clock by which commits are dated.
async fn pass_a_millisecond(lake: &Lake) {
    let before = database::clock(lake.database()).await.unwrap();
    while database::clock(lake.database()).await.unwrap() <= before {}
}

#[test]
fn a_name_is_the_pair_alone_on_the_first_market_in_order_that_has_it() {
    let metrics = [
        recorded("binance:hottry", 1),
        recorded("gateio:hottry", 2),
        recorded("gateio:hottry:volume", 2),
        recorded("kraken:btcusd", 3),
    ];
    let configured = directory(&metrics, &["gateio", "binance"]);
    assert_eq!(configured.resolve("hottry"), Some(metric("gateio:hottry")));
    assert_eq!(configured.name(&metric("gateio:hottry")), "hottry");
    assert_eq!(configured.name(&metric("binance:hottry")), "binance:hottry");
    for (name, id) in [
        ("binance:hottry", "binance:hottry"),
        ("BINANCE:HOTTRY", "binance:hottry"),
        ("hottry:volume", "gateio:hottry:volume"),
        ("hottry:price", "gateio:hottry"),
    ] {
        assert_eq!(meant(&configured, name).as_deref(), Some(id), "{name}");
    }
    assert_eq!(configured.resolve("nope"), None);
    let unordered = directory(&metrics, &[]);
    assert_eq!(unordered.resolve("hottry"), Some(metric("binance:hottry")));
}

#[test]
fn behind_the_order_of_the_feeds_the_first_recording_decides() {
    let metrics = [
        recorded("binance-us:btcusdt", 7),
        recorded("binance:btcusdt", 8),
        recorded("kraken:btcusdt", 5),
        imported("a:btcusdt", 1),
    ];
    for (order, owner) in [
        (vec!["binance", "binance-us"], "binance:btcusdt"),
        (vec!["a", "binance-us"], "binance-us:btcusdt"),
        (vec!["a"], "kraken:btcusdt"),
        (vec![], "kraken:btcusdt"),
    ] {
        let found = meant(&directory(&metrics, &order), "btcusdt");
        assert_eq!(found.as_deref(), Some(owner), "{order:?}");
    }
    let same = [recorded("b:x", 1), recorded("a:x", 1)];
    assert_eq!(meant(&directory(&same, &[]), "x").as_deref(), Some("a:x"));
}

#[test]
fn alternatives_are_the_other_metrics_of_a_short_name() {
    let metrics = [
        recorded("kraken:hottry", 1),
        recorded("binance:hottry", 2),
        imported("gateio:hottry", 3),
        recorded("binance:hottry:volume", 2),
    ];
    let directory = directory(&metrics, &["binance"]);
    let of = |id| directory.alternatives(&metric(id));
    assert_eq!(
        ids(&of("binance:hottry")),
        ["gateio:hottry", "kraken:hottry"]
    );
    assert_eq!(
        ids(&of("gateio:hottry")),
        ["binance:hottry", "kraken:hottry"]
    );
    assert!(of("binance:hottry:volume").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_never_takes_a_name_from_a_feed() {
    on_both(async |base: Base| {
        // Another process, which reads only.
        let other = lake_of(&base, &["binance", "gateio"]).await;
        let lake = lake_of(&base, &["binance", "gateio"]).await;
        let owner = async || {
            other.refresh_directory().await.unwrap();
            meant(&other.directory(), "hottry")
        };
        ingest(&lake, &[sample("gateio:hottry", 0, "1")]).await;
        assert_eq!(owner().await.as_deref(), Some("gateio:hottry"));
        // Earlier in the order, and of an earlier time.
        lake.import(vec![sample("binance:hottry", -1_440, "2")], Millis(0))
            .await
            .unwrap();
        assert_eq!(owner().await.as_deref(), Some("gateio:hottry"));
        // Once a feed records it, the order decides.
        ingest(&lake, &[sample("binance:hottry", 1, "2")]).await;
        assert_eq!(owner().await.as_deref(), Some("binance:hottry"));
        ingest(&lake, &series("gateio:hottry", 2, &["1", "1"])).await;
        assert_eq!(owner().await.as_deref(), Some("binance:hottry"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_import_keeps_a_name_until_a_feed_records_it() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let owner = || meant(&lake.directory(), "hottry");
        for (id, at) in [("kraken:hottry", 1), ("binance:hottry", 2)] {
            let imported = lake.import(vec![sample(id, 0, "1")], Millis(at)).await;
            imported.unwrap();
        }
        assert_eq!(owner().as_deref(), Some("kraken:hottry"));
        // A part of a minute counts as well.
        let minute = vec![sample("gateio:hottry", 60, "1")];
        let staged = lake.ingest().stage_part(minute).await.unwrap();
        super::publish(&lake, &staged).await.unwrap();
        assert_eq!(owner().as_deref(), Some("gateio:hottry"));
        // The time of the first recording stays.
        pass_a_millisecond(&lake).await;
        ingest(&lake, &[sample("binance:hottry", 61, "1")]).await;
        ingest(&lake, &[sample("gateio:hottry", 62, "1")]).await;
        assert_eq!(owner().as_deref(), Some("gateio:hottry"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_catalog_still_tells_a_feed_from_an_import() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        super::import(&lake, &[sample("a:hottry", 0, "1")]).await;
        ingest(&lake, &[sample("kraken:hottry", 60, "1")]).await;
        ingest(&lake, &[sample("gateio:hottry", 61, "1")]).await;
        let (lake, _) = rebuilt(&mut base).await;
        let owner = meant(&lake.directory(), "hottry");
        assert_eq!(owner.as_deref(), Some("kraken:hottry"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_an_older_catalog_count_as_recorded() {
    on_both(async |base: Base| {
        let database = base.database().await;
        let migrations = Migrator::migrations();
        let added = migrations
            .iter()
            .position(|migration| migration.name().ends_with("_add_metrics_recorded_at"));
        let steps = migrations.len() - added.unwrap();
        let steps = u32::try_from(steps).unwrap();
        Migrator::down(&database, Some(steps)).await.unwrap();
        for (id, at) in [("kraken", 7), ("binance", 8)] {
            let insert = format!(
                "insert into metrics (id, market, pair, measure, created_at) \
                 values ('{id}:hottry', '{id}', 'hottry', 'price', {at})"
            );
            database.execute_unprepared(&insert).await.unwrap();
        }
        let lake = base.lake().await;
        let import = vec![sample("a:hottry", 0, "1")];
        lake.import(import, Millis(0)).await.unwrap();
        let owner = meant(&lake.directory(), "hottry");
        assert_eq!(owner.as_deref(), Some("kraken:hottry"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_accents_is_one_in_either_form_of_unicode() {
    let (composed, decomposed) = ("caf\u{e9}usdt", "cafe\u{301}usdt");
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &[sample(&format!("x:{decomposed}"), 0, "1")]).await;
        ingest(&lake, &[sample(&format!("x:{composed}"), 1, "2")]).await;
        assert_eq!(lake.directory().len(), 1);
        for name in [
            composed.to_owned(),
            decomposed.to_owned(),
            decomposed.to_uppercase(),
            format!("X:{decomposed}"),
        ] {
            let found = lake.resolve(&name).await.unwrap().unwrap();
            assert_eq!(found.id(), format!("x:{composed}"), "{name}");
            let day = lake.queries().last_24h(None).await.unwrap().unwrap();
            let engine = lake.datafusion();
            let points = lake.queries().points(&engine, &found, day, None).await;
            assert_eq!(points.unwrap().len(), 2, "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interface_names_the_alternatives_of_a_short_name() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let found = server
        .graphql(
            r#"{ short: metric(name: "hottry") { id alternatives }
                 other: metric(name: "gateio:hottry") { alternatives }
                 alone: metric(name: "tie") { alternatives } }"#,
        )
        .await;
    let expected = json!({
        "short": {"id": "binance:hottry", "alternatives": ["gateio:hottry"]},
        "other": {"alternatives": ["binance:hottry"]},
        "alone": {"alternatives": []},
    });
    assert_eq!(found["data"], expected, "{found}");
    let one = server.json("/v1/metrics/hottry").await;
    assert_eq!(one["alternatives"], json!(["gateio:hottry"]));
    let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[]");
    let note = "hottry is binance:hottry; also: gateio:hottry\n";
    for (command, name, expected) in [
        ("timeseries", "hottry", note),
        ("rank", "HOTTRY", note),
        ("rank", "hottry:price", note),
        ("timeseries", "binance:hottry", ""),
        ("rank", "gateio:hottry", ""),
        ("rank", "tie", ""),
    ] {
        let said = program.run(&[command, name, "--format", "csv"]).await;
        assert_eq!(said.code, 0, "{command} {name}: {said:?}");
        assert_eq!(said.err, expected, "{command} {name}");
    }
}
