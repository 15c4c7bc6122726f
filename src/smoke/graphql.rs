//! Probes of the GraphQL API: schema, queries and subscriptions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Probe;
use super::rest::has;
use super::target::Target;

const INTROSPECTION: &str =
    "{ __schema { types { name fields(includeDeprecated: true) { name } } } }";
/// Queries for the scope read: name, document, path to an object, and its required fields.
const OF_ALL: [(&str, &str, &str, &[&str]); 5] = [
    (
        "metrics",
        "{ metrics(first: 1) { nodes { id name } pageInfo { hasNextPage } edges { cursor } } }",
        "/metrics",
        &["nodes", "pageInfo", "edges"],
    ),
    (
        "ranking",
        "{ ranking(first: 1) { nodes { rank of value } pageInfo { hasNextPage } } }",
        "/ranking",
        &["nodes", "pageInfo"],
    ),
    (
        "jumps",
        "{ jumps(first: 1) { nodes { timestamp ratio } pageInfo { hasNextPage } } }",
        "/jumps",
        &["nodes", "pageInfo"],
    ),
    (
        "lake",
        "{ lake { segments samples newest } }",
        "/lake",
        &["segments", "samples", "newest"],
    ),
    (
        "gaps",
        "{ gaps(first: 1) { nodes { market timestamp } pageInfo { hasNextPage } } }",
        "/gaps",
        &["nodes", "pageInfo"],
    ),
];
/// The same, for a metric `$name`.
const OF_ONE: [(&str, &str, &str, &[&str]); 5] = [
    (
        "metric",
        "query($name: String!) { metric(name: $name) { id name latest { timestamp value } rank { \
         rank } } }",
        "/metric",
        &["id", "name", "latest", "rank"],
    ),
    (
        "latest",
        "query($name: String!) { latest(metrics: [$name]) { metric { id } sample { value } } }",
        "/latest/0",
        &["metric", "sample"],
    ),
    (
        "timeseries",
        "query($name: String!) { timeseries(metrics: [$name]) { from to times values } }",
        "/timeseries/0",
        &["from", "to", "times", "values"],
    ),
    (
        "rank",
        "query($name: String!) { rank(metric: $name) { rank of display statistic value } }",
        "/rank",
        &["rank", "of", "display", "statistic", "value"],
    ),
    (
        "coverage",
        "query($name: String!) { coverage(metric: $name) { expected recorded display } }",
        "/coverage",
        &["expected", "recorded", "display"],
    ),
];

pub(super) async fn run_probes(target: &Target, metric: Option<&str>, probes: &mut Vec<Probe>) {
    probes.push(Probe::new("graphql: schema", schema(target).await));
    for (name, document, pointer, fields) in OF_ALL {
        let seen = query_fields(target, document, json!({}), pointer, fields).await;
        probes.push(Probe::new(&format!("graphql: {name}"), seen));
    }
    for (name, document, pointer, fields) in OF_ONE {
        let what = format!("graphql: {name}");
        probes.push(match metric {
            None => Probe::skipped(&what, "the lake is empty"),
            Some(metric) => {
                let seen =
                    query_fields(target, document, json!({"name": metric}), pointer, fields).await;
                Probe::new(&what, seen)
            }
        });
    }
    let what = "graphql: slots, as events";
    probes.push(match metric {
        None => Probe::skipped(what, "the lake is empty"),
        Some(_) => Probe::new(what, slots(target).await),
    });
    let socket = target.upgrade("/graphql/ws", "graphql-transport-ws").await;
    let socket = socket.and_then(|answer| match answer.status.as_u16() {
        101 => Ok("switches protocols".to_owned()),
        status => Err(format!("expected status 101, got {status}")),
    });
    probes.push(Probe::new("/graphql/ws", socket));
}

/// Checks that the server has every field of this program's schema.
async fn schema(target: &Target) -> Result<String, String> {
    let answer = target.query(INTROSPECTION, json!({})).await?;
    let types = answer["__schema"]["types"].as_array();
    let mut theirs = BTreeSet::new();
    for one in types.ok_or("expected a list of types")? {
        for field in one["fields"].as_array().into_iter().flatten() {
            let text = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
            theirs.insert(format!("{}.{}", text(one), text(field)));
        }
    }
    let ours = marketlake_graphql::schema::fields();
    let missing: Vec<&String> = ours.difference(&theirs).collect();
    match missing.as_slice() {
        [] => Ok(format!("{} fields", ours.len())),
        [first, others @ ..] => Err(format!(
            "the server lacks {first} and {} others: is it another version?",
            others.len()
        )),
    }
}

async fn query_fields(
    target: &Target,
    document: &str,
    variables: Value,
    pointer: &str,
    fields: &[&str],
) -> Result<String, String> {
    let data = target.query(document, variables).await?;
    let found = data.pointer(pointer);
    has(
        found.ok_or_else(|| format!("expected {pointer} in {data}"))?,
        fields,
    )
}

async fn slots(target: &Target) -> Result<String, String> {
    let event = target
        .first_event("subscription { slots { timestamp } }")
        .await?;
    if event.starts_with("event: next") && event.contains("\"timestamp\"") {
        Ok("the newest minute came at once".to_owned())
    } else {
        Err(format!("expected an event with a minute, got {event:?}"))
    }
}
