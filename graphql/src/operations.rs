//! What operators and their machines ask.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use marketlake_entities::database;
use marketlake_lake::Lake;
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::auth::{Gate, Scope};
use crate::authority::RequestAuthority;
use crate::caller::peer;
use crate::client_address::is_forwarded;
use crate::rest::Problem;

const PATIENCE: Duration = Duration::from_secs(5);

/// The process is alive.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// It can answer: the catalog and the store are reachable, and the window is filled.
pub(crate) async fn readyz(State((lake, stop)): State<(Arc<Lake>, CancellationToken)>) -> Response {
    if stop.is_cancelled() {
        let parts = json!({"process": "stopping"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(parts)).into_response();
    }
    let catalog = timeout(PATIENCE, database::clock(lake.database())).await;
    let store = timeout(PATIENCE, lake.store().probe()).await;
    let shown = |result: Result<(), String>| result.err().unwrap_or_else(|| "ok".to_owned());
    let slow = |_| format!("no answer within {} s", PATIENCE.as_secs());
    let catalog = catalog
        .map_err(slow)
        .and_then(|r| r.map(drop).map_err(|error| error.to_string()));
    let store = store
        .map_err(slow)
        .and_then(|r| r.map_err(|error| error.to_string()));
    let window = if lake.window().is_ready() {
        Ok(())
    } else {
        Err("being filled".to_owned())
    };
    let ready = catalog.is_ok() && store.is_ok() && window.is_ok();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let parts = json!({"catalog": shown(catalog), "store": shown(store), "window": shown(window)});
    (status, Json(parts)).into_response()
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
        gauge!("marketlake_segments").set(as_f64(held.segments));
        gauge!("marketlake_lake_samples").set(as_f64(held.samples));
        gauge!("marketlake_lake_bytes").set(as_f64(held.bytes));
        gauge!("marketlake_metrics").set(as_f64(held.metrics));
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
