//! AWS only: buckets and credentials.

mod credentials;
mod doctor;
mod export;
mod ignored_conditions;
mod moto;
mod wire;

use serde_json::Value;

use crate::support::base::Base;
use crate::support::program::{Program, Said};

/// Checks that `doctor` runs on every bucket.
const TRIED: [&str; 11] = [
    "credentials",
    "bucket",
    "region",
    "clock",
    "put",
    "conditional put",
    "conditional replace",
    "get",
    "list",
    "multipart",
    "delete",
];

/// Health and detail of one thing that `doctor` looked at.
fn finding(said: &Said, what: &str) -> (String, String) {
    let all: Vec<Value> = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    let one = all.iter().find(|finding| finding["check"] == what);
    let one = one.unwrap_or_else(|| panic!("no {what}: {said:?}"));
    let text = |name: &str| one[name].as_str().unwrap().to_owned();
    (text("health"), text("detail"))
}

async fn doctor(program: &Program) -> Said {
    program.run(&["doctor", "--format", "json"]).await
}

/// Two hours of two metrics.
fn history(base: &Base) -> String {
    let rows: Vec<String> = (0..120)
        .flat_map(|minute| {
            ["kraken:a", "kraken:b"].map(|metric| {
                format!(
                    "{metric},2026-11-24T{:02}:{:02}:00Z,{}.25\n",
                    10 + minute / 60,
                    minute % 60,
                    minute % 7
                )
            })
        })
        .collect();
    let path = base.path().join("history.csv");
    std::fs::write(&path, format!("metric,ts,value\n{}", rows.concat())).unwrap();
    path.display().to_string()
}
