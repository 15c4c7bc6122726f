//! `/metrics`: metrics of the process in Prometheus' text format.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use marketlake_lake::Lake;
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::auth::authenticator::Authenticator;
use crate::auth::scope::Scope;
use crate::authority::RequestAuthority;
use crate::client_address::{is_forwarded, peer};
use crate::health::as_f64;
use crate::problem::Problem;

/// State of `/metrics`.
pub struct MetricsEndpoint {
    /// The lake whose figures are exported.
    pub lake: Arc<Lake>,
    /// Renders the metrics.
    pub recorder: PrometheusHandle,
    /// Authenticates requests.
    pub authenticator: Arc<Authenticator>,
    /// Whether this machine's own programs need no key.
    pub allow_local_anonymous: bool,
}

impl MetricsEndpoint {
    /// Without a key only what comes straight from this machine, to a name that only this machine
    /// has, where that is allowed; so neither a forgotten proxy nor a page whose name leads here.
    async fn check(&self, request: &Parts) -> Result<(), Problem> {
        let headers = &request.headers;
        let authority = RequestAuthority::of(&request.uri, headers)?;
        let permissions = self.authenticator.permissions(headers).await?;
        let is_local = peer(&request.extensions).is_some_and(|ip| ip.is_loopback())
            && authority.is_this_machine()
            && !is_forwarded(headers);
        if permissions.is_anonymous() && self.allow_local_anonymous && is_local {
            return Ok(());
        }
        Ok(permissions.require(Scope::Metrics)?)
    }
}

/// Figures in Prometheus' text format, for operators.
pub async fn get(State(endpoint): State<Arc<MetricsEndpoint>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Err(problem) = endpoint.check(&parts).await {
        return problem.into_response();
    }
    let MetricsEndpoint { lake, recorder, .. } = endpoint.as_ref();
    if let Ok(stats) = lake.stats().await {
        gauge!("marketlake_lake_segments").set(as_f64(stats.segments));
        gauge!("marketlake_lake_samples").set(as_f64(stats.samples));
        gauge!("marketlake_lake_bytes").set(as_f64(stats.bytes));
        gauge!("marketlake_lake_metrics").set(as_f64(stats.metrics));
    }
    if let Ok(Some(newest)) = lake.newest().await {
        gauge!("marketlake_newest_sample_timestamp_seconds").set(as_f64(newest.start().0 / 1_000));
    }
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        recorder.render(),
    )
        .into_response()
}
