//! Health checks: `/healthz` and `/readyz`.
//!
//! A health check never waits: [`watch_health`] polls the catalog and the store from time to time,
//! jobs report their state, and the response is the last report.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use marketlake_common::Health;
use marketlake_common::health::{Part, RECENT_DAY, Role};
use marketlake_entities::database;
use marketlake_lake::Lake;
use marketlake_model::Millis;
use metrics::gauge;
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Timeout of a probe of the catalog or the store.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval between probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// Time for which a successful probe counts.
const PROBE_TTL: Duration = Duration::from_secs(30);

/// Parts of an API's health, which [`watch_health`] keeps up to date.
pub const API_PARTS: [&str; 3] = [RECENT_DAY, "catalog", "store"];

/// State of the health checks.
#[derive(Clone)]
pub struct HealthState {
    /// Health of each role and part.
    pub health: Health,
    /// Cancelled when the process stops.
    pub stop: CancellationToken,
}

/// The process is alive. With `verbose`: each role and part, and what is worth knowing beside.
#[expect(clippy::unused_async, reason = "handlers of axum are async")]
pub async fn healthz(State(state): State<HealthState>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let verbose = query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        name == "verbose" && !matches!(value, "0" | "false")
    });
    if !verbose {
        return "ok\n".into_response();
    }
    let (ready, roles) = report(&state);
    let notes = state.health.notes();
    Json(json!({"ready": ready, "roles": roles, "notes": notes})).into_response()
}

/// Each role does its work: an API can answer, a scheduler plans and can write, a sender sends.
#[expect(clippy::unused_async, reason = "handlers of axum are async")]
pub async fn readyz(State(state): State<HealthState>) -> Response {
    if state.stop.is_cancelled() {
        let parts = json!({"ready": false, "process": "stopping"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(parts)).into_response();
    }
    let (ready, roles) = report(&state);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({"ready": ready, "roles": roles}))).into_response()
}

fn report(state: &HealthState) -> (bool, Value) {
    let roles = state.health.roles();
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

/// Probes the parts of an API until the process stops, where it is
/// one; and whether the newest minute is what it ought to be, which makes no role unready.
pub async fn watch_health(
    lake: Arc<Lake>,
    health: Health,
    is_api: bool,
    stale_after: Option<Duration>,
    stop: CancellationToken,
) {
    let parts = is_api.then(|| API_PARTS.map(|name| health.part(Role::Api, name)));
    while !stop.is_cancelled() {
        if let Some([window, catalog, store]) = &parts {
            if lake.recent_day().is_ready() {
                window.good_for_ever();
            } else {
                window.bad("being filled");
            }
            let probes = (
                probe_catalog(catalog, &lake),
                probe(store, lake.store().probe()),
            );
            tokio::join!(probes.0, probes.1);
        }
        let status = timeout(PROBE_TIMEOUT, read_data_status(&lake)).await;
        if let Ok(Some(status)) = status {
            write_notes(&health, status, stale_after);
        }
        tokio::select! {
            () = sleep(PROBE_INTERVAL) => (),
            () = stop.cancelled() => (),
        }
    }
}

async fn probe<T, E: std::fmt::Display>(part: &Part, work: impl Future<Output = Result<T, E>>) {
    match timeout(PROBE_TIMEOUT, work).await {
        Ok(Ok(_)) => part.good(PROBE_TTL),
        Ok(Err(error)) => part.bad(error.to_string()),
        Err(_) => part.bad(format!("no answer within {} s", PROBE_TIMEOUT.as_secs())),
    }
}

/// The same of the catalog; where the pool has no connection, why the server gives none.
async fn probe_catalog(part: &Part, lake: &Lake) {
    let database = lake.database();
    match timeout(PROBE_TIMEOUT, database::clock(database)).await {
        Ok(Ok(_)) => part.good(PROBE_TTL),
        Ok(Err(error)) => part.bad(database::diagnose(database, &error).await),
        Err(_) => {
            let cause = database::diagnose_silence(database).await;
            let silent = || format!("no answer within {} s", PROBE_TIMEOUT.as_secs());
            part.bad(cause.unwrap_or_else(silent));
        }
    }
}

/// Age and plausibility of the newest data, by the catalog.
struct DataStatus {
    now: Millis,
    /// End of the newest minute.
    newest_end: Option<Millis>,
    impossible: usize,
}

/// `None` where it cannot be read; then its part says so.
async fn read_data_status(lake: &Lake) -> Option<DataStatus> {
    let now = lake.now().await.ok()?;
    let newest = lake.newest().await.ok()?;
    Some(DataStatus {
        now,
        newest_end: newest.map(|minute| minute.plus(1).start()),
        impossible: lake.impossible_segments(now).await.ok()?,
    })
}

fn write_notes(health: &Health, status: DataStatus, stale_after: Option<Duration>) {
    if let Some(end) = status.newest_end {
        // An import may have brought samples of the running minute.
        let age = status.now.since(end).max(0) / 1_000;
        gauge!("marketlake_newest_sample_age_seconds").set(as_f64(age));
        let stale = stale_after.filter(|after| status.now > end.plus(*after));
        let text = stale.map(|after| {
            let max = after.as_secs();
            format!("stale: the newest minute ended {age} s ago, expected at most {max} s")
        });
        health.note("feeds", text);
    }
    let count = status.impossible;
    gauge!("marketlake_invalid_time_segments")
        .set(as_f64(i64::try_from(count).unwrap_or(i64::MAX)));
    let text = format!(
        "{count} segments contain samples in the future or before 2009: `marketlake check \
         --repair` removes them"
    );
    health.note("samples", (count > 0).then_some(text));
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(crate) fn as_f64(number: i64) -> f64 {
    number as f64
}
