//! The routes that are no GraphQL.

use serde_json::Value;

use super::Look;
use super::target::{Answer, Target};

/// The forms of a series, and the media type of each.
const FORMS: [(&str, &str); 5] = [
    ("columns", "application/json"),
    ("csv", "text/csv"),
    ("ndjson", "application/x-ndjson"),
    ("arrow", "application/vnd.apache.arrow.stream"),
    ("parquet", "application/vnd.apache.parquet"),
];
const PAGES: [&str; 3] = ["/docs/", "/graphiql", "/subscribe"];

/// Looks at all; returns the id of a metric, where there is one.
pub(super) async fn look(target: &Target, looks: &mut Vec<Look>) -> Option<String> {
    let health = target.get("/healthz").await.and_then(Answer::good);
    looks.push(Look::of("/healthz", health.map(|_| "alive".to_owned())));
    let path = "/v1/metrics?limit=1";
    let listed = target.get(path).await.and_then(Answer::json);
    let first = listed.as_ref().ok().map(|page| page["data"][0].clone());
    let shape = listed.and_then(|page| {
        has(&page, &["data", "next"])?;
        match page["data"].get(0) {
            Some(row) => has(row, &["metric", "id", "market", "pair", "measure"]),
            None => Ok("the lake is empty".to_owned()),
        }
    });
    looks.push(Look::of(path, shape));
    let id = first.and_then(|first| Some(first["id"].as_str()?.to_owned()));
    look_at_metric(target, id.as_deref(), looks).await;
    for (path, fields) in [
        ("/v1/ranking?limit=1", &["data", "next"][..]),
        ("/v1/jumps?limit=1", &["data", "next"]),
        ("/openapi.json", &["openapi", "paths", "components"]),
        ("/prometheus/api/v1/query?query=1", &["status", "data"]),
        ("/prometheus/api/v1/labels", &["status", "data"]),
        ("/prometheus/api/v1/metadata", &["status", "data"]),
        ("/prometheus/api/v1/status/buildinfo", &["status", "data"]),
    ] {
        looks.push(shaped(target, path, fields).await);
    }
    let own = "/v1/subscriptions";
    if target.has_key() {
        looks.push(shaped(target, own, &["data"]).await);
    } else {
        looks.push(Look::skipped(own, "needs a key: --key"));
    }
    for path in PAGES {
        looks.push(typed(target, path, "text/html").await);
    }
    id
}

async fn look_at_metric(target: &Target, id: Option<&str>, looks: &mut Vec<Look>) {
    let name = id.unwrap_or("NAME");
    let series = format!("/v1/metric/{name}/timeseries");
    let rank = format!("/v1/metric/{name}/rank");
    let one = format!("/v1/metrics/{name}");
    if id.is_none() {
        for path in [&series, &rank, &one] {
            looks.push(Look::skipped(path, "the lake is empty"));
        }
        return;
    }
    let rows = target.get(&series).await.and_then(Answer::json);
    let shape = rows.and_then(|page| {
        has(&page, &["data", "next"])?;
        let row = page["data"]
            .get(0)
            .ok_or("expected a row of a metric that is listed")?;
        has(row, &["metric", "timestamp", "value"])
    });
    looks.push(Look::of(&series, shape));
    let fields = [
        "metric",
        "id",
        "rank",
        "of",
        "display",
        "statistic",
        "value",
        "from",
        "to",
    ];
    looks.push(shaped(target, &rank, &fields).await);
    looks.push(shaped(target, &one, &["metric", "id"]).await);
    for (form, media_type) in FORMS {
        looks.push(typed(target, &format!("{series}?format={form}"), media_type).await);
    }
}

/// A route whose answer is an object with some fields.
async fn shaped(target: &Target, path: &str, fields: &[&str]) -> Look {
    let answer = target.get(path).await.and_then(Answer::json);
    Look::of(path, answer.and_then(|value| has(&value, fields)))
}

/// A route whose answer is of a media type, and not empty.
async fn typed(target: &Target, path: &str, media_type: &str) -> Look {
    let answer = target.get(path).await.and_then(Answer::good);
    Look::of(
        path,
        answer.and_then(|answer| {
            let got = answer.content_type();
            if !got.starts_with(media_type) {
                return Err(format!("expected {media_type}, got {got:?}"));
            }
            if answer.body.is_empty() {
                return Err("expected a body, got none".to_owned());
            }
            Ok(format!("{} bytes of {media_type}", answer.body.len()))
        }),
    )
}

/// Whether a JSON object has some fields.
pub(super) fn has(value: &Value, fields: &[&str]) -> Result<String, String> {
    let missing = fields.iter().find(|field| value.get(field).is_none());
    match missing {
        None => Ok(fields.join(", ")),
        Some(field) => Err(format!("expected the field {field:?} in {value}")),
    }
}
