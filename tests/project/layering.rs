//! Arrows between crates, and between the folders of the large ones, point one way.

use std::collections::{BTreeMap, BTreeSet};

use super::{read, root, visit};

/// `common` <- `model` <- `entities`, `feeds` <- `lake` <- `alerts` <- `jobs`, `http`; `http` <-
/// `graphql`, `rest`, `promql`, `web` <- the binary. No protocol knows another.
#[test]
fn arrows_between_crates_point_one_way() {
    let allowed = BTreeMap::from([
        ("common", vec![]),
        ("model", vec!["common"]),
        ("entities", vec!["common", "model"]),
        ("migrations", vec![]),
        ("feeds", vec!["common", "model"]),
        ("lake", vec!["common", "entities", "model"]),
        ("alerts", vec!["common", "entities", "lake", "model"]),
        (
            "jobs",
            vec!["alerts", "common", "entities", "feeds", "lake", "model"],
        ),
        (
            "http",
            vec!["alerts", "common", "entities", "lake", "model"],
        ),
        (
            "graphql",
            vec!["alerts", "common", "entities", "http", "lake", "model"],
        ),
        ("rest", vec!["alerts", "common", "http", "lake", "model"]),
        ("promql", vec!["http", "lake", "model"]),
        (
            "web",
            vec!["alerts", "common", "entities", "http", "lake", "model"],
        ),
    ]);
    for (name, expected) in allowed {
        let manifest = read(&format!("{name}/Cargo.toml"));
        let used: Vec<&str> = manifest
            .lines()
            .filter_map(|line| {
                let name = line.strip_prefix("marketlake-")?;
                name.split(['.', ' ']).next()
            })
            .collect();
        assert_eq!(used, expected, "{name}");
    }
}

/// Holds the arrows between the folders of a crate: each may import from those that are named
/// behind it, and from `shared`.
fn hold_arrows(krate: &str, shared: &[&str], allowed: &[(&str, &[&str])]) {
    let source = root().join(krate).join("src");
    let mut wrong = Vec::new();
    for (folder, allowed) in allowed {
        visit(&source.join(folder), &mut |path| {
            if path.extension().is_none_or(|e| e != "rs") {
                return;
            }
            let text = std::fs::read_to_string(path).unwrap();
            for line in text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                for used in line.split("crate::").skip(1) {
                    let end = used.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
                    let used = &used[..end.unwrap_or(used.len())];
                    if used != *folder && !shared.contains(&used) && !allowed.contains(&used) {
                        wrong.push(format!("{}: crate::{used}", path.display()));
                    }
                }
            }
        });
    }
    assert_eq!(wrong, Vec::<String>::new());
    let found = std::fs::read_dir(&source).unwrap().flatten();
    let found: BTreeSet<String> = found
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let named: BTreeSet<String> = allowed.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, named, "the folders of {krate}");
}

#[test]
fn arrows_between_the_folders_of_the_lake_point_one_way() {
    hold_arrows(
        "lake",
        &["error", "span"],
        &[
            ("storage", &[]),
            ("segment", &["storage"]),
            ("catalog", &["lake", "storage"]),
            ("athena", &["catalog", "lake", "storage"]),
            ("ingest", &["catalog", "lake", "segment", "storage"]),
            (
                "query",
                &["athena", "catalog", "lake", "segment", "storage"],
            ),
            (
                "maintenance",
                &["athena", "catalog", "ingest", "lake", "segment", "storage"],
            ),
        ],
    );
}

#[test]
fn arrows_between_the_folders_of_alerts_point_one_way() {
    hold_arrows(
        "alerts",
        &["address", "error", "token"],
        &[
            ("rules", &[]),
            ("queue", &["rules"]),
            ("subscriptions", &["queue", "rules"]),
            ("delivery", &["queue", "rules", "subscriptions"]),
            (
                "detection",
                &["delivery", "queue", "rules", "subscriptions"],
            ),
        ],
    );
}
