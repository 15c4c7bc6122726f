//! Probes of the REST and Prometheus APIs and the pages.

use serde_json::Value;

use super::Probe;
use super::target::{Answer, Target};

/// Formats of a series with their media types.
const FORMS: [(&str, &str); 5] = [
    ("columns", "application/json"),
    ("csv", "text/csv"),
    ("ndjson", "application/x-ndjson"),
    ("arrow", "application/vnd.apache.arrow.stream"),
    ("parquet", "application/vnd.apache.parquet"),
];
const PAGES: [&str; 3] = ["/docs/", "/graphiql", "/subscribe"];

/// Probes all routes; returns the id of a metric, if there is one.
pub(super) async fn run_probes(target: &Target, probes: &mut Vec<Probe>) -> Option<String> {
    let health = target.get("/healthz").await.and_then(Answer::good);
    probes.push(Probe::new("/healthz", health.map(|_| "alive".to_owned())));
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
    probes.push(Probe::new(path, shape));
    let id = first.and_then(|first| Some(first["id"].as_str()?.to_owned()));
    probe_metric(target, id.as_deref(), probes).await;
    probe_described(target, id.as_deref(), probes).await;
    for (path, fields) in [
        ("/prometheus/api/v1/query?query=1", &["status", "data"][..]),
        ("/prometheus/api/v1/labels", &["status", "data"]),
        ("/prometheus/api/v1/metadata", &["status", "data"]),
        ("/prometheus/api/v1/status/buildinfo", &["status", "data"]),
    ] {
        probes.push(shaped(target, path, fields).await);
    }
    for path in PAGES {
        probes.push(typed(target, path, "text/html").await);
    }
    id
}

/// Probes each route that reads, as the server's own OpenAPI document describes it: of a route
/// about one object a metric only.
async fn probe_described(target: &Target, id: Option<&str>, probes: &mut Vec<Probe>) {
    let path = "/openapi.json";
    let document = target.get(path).await.and_then(Answer::json);
    let routes = document.as_ref().ok().map(routes);
    let shape = document
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|document| has(document, &["openapi", "paths", "components"]));
    probes.push(Probe::new(path, shape));
    for route in routes.unwrap_or_default() {
        let path = match (route.is_of_metric(), id) {
            (true, None) => {
                probes.push(Probe::skipped(&route.path, "the lake is empty"));
                continue;
            }
            (true, Some(id)) => route.path_of(id),
            (false, _) => route.path.clone(),
        };
        let is_probed = |probe: &Probe| probe.what.split('?').next() == Some(path.as_str());
        if path.contains('{') || probes.iter().any(is_probed) {
            continue;
        }
        if route.needs_key && !target.has_key() {
            probes.push(Probe::skipped(&path, "needs a key: --key"));
            continue;
        }
        let fields: Vec<&str> = route.fields.iter().map(String::as_str).collect();
        probes.push(shaped(target, &path, &fields).await);
    }
}

/// Route that reads.
struct DescribedRoute {
    path: String,
    needs_key: bool,
    /// Whether it requires the query parameter `metric`.
    needs_metric: bool,
    /// Fields that its JSON response has.
    fields: Vec<String>,
}

impl DescribedRoute {
    fn is_of_metric(&self) -> bool {
        self.needs_metric || self.path.contains("{name}")
    }

    fn path_of(&self, id: &str) -> String {
        let path = self.path.replace("{name}", id);
        if self.needs_metric {
            format!("{path}?metric={id}")
        } else {
            path
        }
    }
}

/// The routes of an OpenAPI document that read.
fn routes(document: &Value) -> Vec<DescribedRoute> {
    let paths = document["paths"].as_object();
    let routes = paths.into_iter().flatten().filter_map(|(path, methods)| {
        let operation = methods.get("get")?;
        let security = operation["security"].as_array();
        let parameters = operation["parameters"].as_array();
        let is_needed_metric = |parameter: &Value| {
            parameter["name"] == "metric" && parameter["required"] == Value::Bool(true)
        };
        let json = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let name = json["$ref"]
            .as_str()
            .and_then(|name| name.rsplit('/').next());
        let schema = name.map_or(json, |name| &document["components"]["schemas"][name]);
        let required = schema["required"].as_array();
        let fields = required.into_iter().flatten().filter_map(Value::as_str);
        Some(DescribedRoute {
            path: path.clone(),
            needs_key: security.is_some_and(|all| all.iter().all(|one| one.get("key").is_some())),
            needs_metric: parameters.is_some_and(|all| all.iter().any(is_needed_metric)),
            fields: fields.map(str::to_owned).collect(),
        })
    });
    routes.collect()
}

async fn probe_metric(target: &Target, id: Option<&str>, probes: &mut Vec<Probe>) {
    let name = id.unwrap_or("NAME");
    let series = format!("/v1/metric/{name}/timeseries");
    let rank = format!("/v1/metric/{name}/rank");
    let one = format!("/v1/metrics/{name}");
    if id.is_none() {
        for path in [&series, &rank, &one] {
            probes.push(Probe::skipped(path, "the lake is empty"));
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
    probes.push(Probe::new(&series, shape));
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
    probes.push(shaped(target, &rank, &fields).await);
    probes.push(shaped(target, &one, &["metric", "id"]).await);
    for (form, media_type) in FORMS {
        probes.push(typed(target, &format!("{series}?format={form}"), media_type).await);
    }
}

/// Probes a route for a JSON object with fields.
async fn shaped(target: &Target, path: &str, fields: &[&str]) -> Probe {
    let answer = target.get(path).await.and_then(Answer::json);
    Probe::new(path, answer.and_then(|value| has(&value, fields)))
}

/// Probes a route for a non-empty response of a media type.
async fn typed(target: &Target, path: &str, media_type: &str) -> Probe {
    let answer = target.get(path).await.and_then(Answer::good);
    Probe::new(
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

/// Checks that a JSON object has fields.
pub(super) fn has(value: &Value, fields: &[&str]) -> Result<String, String> {
    let missing = fields.iter().find(|field| value.get(field).is_none());
    match missing {
        None => Ok(fields.join(", ")),
        Some(field) => Err(format!("expected the field {field:?} in {value}")),
    }
}
