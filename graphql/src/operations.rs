//! What operators and their machines ask.
//!
//! A look at how the process does waits for nobody: [`watch`] asks the catalog and the store from
//! time to time, jobs say how they go, and what was said last is the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use marketlake_common::Health;
use marketlake_common::health::{Part, RECENT_DAY, Role};
use marketlake_entities::database;
use marketlake_lake::Lake;
use marketlake_model::{Millis, Minute};
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::auth::{Gate, Scope};
use crate::authority::RequestAuthority;
use crate::caller::peer;
use crate::client_address::is_forwarded;
use crate::rest::Problem;

/// How long the catalog and the store may take for a sign of life.
const WATCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often they are asked for one.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How long one is good for.
const SIGN_TTL: Duration = Duration::from_secs(30);

/// What an API answers from: parts of its health, which [`watch`] keeps.
pub const API_PARTS: [&str; 3] = [RECENT_DAY, "catalog", "store"];

/// What a look at the process reads.
#[derive(Clone)]
pub(crate) struct Looked {
    pub(crate) health: Health,
    pub(crate) stop: CancellationToken,
}

/// The process is alive. With `verbose`: each role and part, and what is worth knowing beside.
pub(crate) async fn healthz(State(looked): State<Looked>, RawQuery(query): RawQuery) -> Response {
    let asked = query.unwrap_or_default();
    let verbose = asked.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        name == "verbose" && !matches!(value, "0" | "false")
    });
    if !verbose {
        return "ok\n".into_response();
    }
    let (ready, roles) = shown(&looked);
    let notes = looked.health.notes();
    Json(json!({"ready": ready, "roles": roles, "notes": notes})).into_response()
}

/// Each role does its work: an API can answer, a scheduler plans and can write, a sender sends.
pub(crate) async fn readyz(State(looked): State<Looked>) -> Response {
    if looked.stop.is_cancelled() {
        let parts = json!({"ready": false, "process": "stopping"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(parts)).into_response();
    }
    let (ready, roles) = shown(&looked);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({"ready": ready, "roles": roles}))).into_response()
}

fn shown(looked: &Looked) -> (bool, Value) {
    let roles = looked.health.roles();
    let ready = roles.iter().all(|role| role.ready);
    let shown: Map<String, Value> = roles
        .into_iter()
        .map(|report| {
            let parts: Map<String, Value> = report
                .parts
                .into_iter()
                .map(|(name, state)| (name, state.err().unwrap_or_else(|| "ok".to_owned()).into()))
                .collect();
            let shown = json!({"ready": report.ready, "parts": parts});
            (report.role.to_string(), shown)
        })
        .collect();
    (ready, shown.into())
}

/// Asks for signs of life, until the process is to stop: of what an API answers from, where it is
/// one; and whether the newest minute is what it ought to be, which makes no role unready.
pub async fn watch(
    lake: Arc<Lake>,
    health: Health,
    is_api: bool,
    stale_after: Option<Duration>,
    stop: CancellationToken,
) {
    let parts = is_api.then(|| API_PARTS.map(|name| health.part(Role::Api, name)));
    while !stop.is_cancelled() {
        if let Some([window, catalog, store]) = &parts {
            if lake.window().is_ready() {
                window.good_for_ever();
            } else {
                window.bad("being filled");
            }
            let asking = (
                sign_of_catalog(catalog, &lake),
                sign(store, lake.store().probe()),
            );
            tokio::join!(asking.0, asking.1);
        }
        let look = timeout(WATCH_TIMEOUT, look(&lake)).await;
        if let Ok(Some(seen)) = look {
            note(&health, seen, stale_after);
        }
        tokio::select! {
            () = sleep(WATCH_INTERVAL) => (),
            () = stop.cancelled() => (),
        }
    }
}

async fn sign<T, E: std::fmt::Display>(part: &Part, asked: impl Future<Output = Result<T, E>>) {
    match timeout(WATCH_TIMEOUT, asked).await {
        Ok(Ok(_)) => part.good(SIGN_TTL),
        Ok(Err(error)) => part.bad(error.to_string()),
        Err(_) => part.bad(format!("no answer within {} s", WATCH_TIMEOUT.as_secs())),
    }
}

/// The same of the catalog; where the pool has no connection, why the server gives none.
async fn sign_of_catalog(part: &Part, lake: &Lake) {
    let database = lake.database();
    match timeout(WATCH_TIMEOUT, database::clock(database)).await {
        Ok(Ok(_)) => part.good(SIGN_TTL),
        Ok(Err(error)) => part.bad(database::diagnose(database, &error).await),
        Err(_) => {
            let cause = database::diagnose_silence(database).await;
            let silent = || format!("no answer within {} s", WATCH_TIMEOUT.as_secs());
            part.bad(cause.unwrap_or_else(silent));
        }
    }
}

/// What the catalog says of the minutes that there are.
struct Seen {
    now: Millis,
    newest: Option<Millis>,
    impossible: usize,
}

/// `None` where it cannot be asked; then its part says so.
async fn look(lake: &Lake) -> Option<Seen> {
    let now = lake.now().await.ok()?;
    let newest = lake.newest().await.ok()?;
    Some(Seen {
        now,
        newest: newest.map(Minute::start),
        impossible: lake.impossible_segments(now).await.ok()?,
    })
}

fn note(health: &Health, seen: Seen, stale_after: Option<Duration>) {
    if let Some(newest) = seen.newest {
        let age = seen.now.since(newest) / 1_000;
        gauge!("marketlake_newest_sample_age_seconds").set(as_f64(age));
        let stale = stale_after.filter(|after| seen.now > newest.plus(*after));
        let text = stale.map(|after| {
            let most = after.as_secs();
            format!("stale: the newest minute is {age} s old, expected at most {most} s")
        });
        health.note("feeds", text);
    }
    let count = seen.impossible;
    gauge!("marketlake_invalid_time_segments")
        .set(as_f64(i64::try_from(count).unwrap_or(i64::MAX)));
    let text = format!(
        "{count} segments hold samples that lie in the future, or before 2009: `marketlake check \
         --repair` takes them out"
    );
    health.note("samples", (count > 0).then_some(text));
}

/// What `/metrics` is made of.
pub(crate) struct Metrics {
    pub(crate) lake: Arc<Lake>,
    pub(crate) figures: PrometheusHandle,
    pub(crate) gate: Arc<Gate>,
    /// Whether this machine's own programs need no key.
    pub(crate) without_key: bool,
}

impl Metrics {
    /// Without a key only what comes straight from this machine, to a name that only this machine
    /// has, where that is allowed; so neither a forgotten proxy nor a page whose name leads here.
    async fn check(&self, request: &Parts) -> Result<(), Problem> {
        let headers = &request.headers;
        let authority = RequestAuthority::of(&request.uri, headers)?;
        let grant = self.gate.grant(headers).await?;
        let is_local = peer(&request.extensions).is_some_and(|ip| ip.is_loopback())
            && authority.is_this_machine()
            && !is_forwarded(headers);
        if grant.is_anonymous() && self.without_key && is_local {
            return Ok(());
        }
        match grant.refusal(Scope::Metrics) {
            None => Ok(()),
            Some((code, message)) => Err(Problem::refused(code, message)),
        }
    }
}

/// Figures in Prometheus' text format, for operators.
pub(crate) async fn metrics(State(metrics): State<Arc<Metrics>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Err(problem) = metrics.check(&parts).await {
        return problem.into_response();
    }
    let Metrics { lake, figures, .. } = metrics.as_ref();
    if let Ok(held) = lake.figures().await {
        gauge!("marketlake_lake_segments").set(as_f64(held.segments));
        gauge!("marketlake_lake_samples").set(as_f64(held.samples));
        gauge!("marketlake_lake_bytes").set(as_f64(held.bytes));
        gauge!("marketlake_lake_metrics").set(as_f64(held.metrics));
    }
    if let Ok(Some(newest)) = lake.newest().await {
        gauge!("marketlake_newest_sample_timestamp_seconds").set(as_f64(newest.start().0 / 1_000));
    }
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        figures.render(),
    )
        .into_response()
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn as_f64(number: i64) -> f64 {
    number as f64
}
