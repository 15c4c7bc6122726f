//! The HTTP face.
//!
//! - `/graphql`: [`schema`], one file a subject, behind the rules of GraphQL over HTTP in `graphql_http`.
//! - `/v1/..`: `rest`, the routes that scripts have called for years, one file each.
//! - `/healthz`, `/readyz`, `/metrics`: `operations`.
//!
//! Invariant: no SQL and no object store here; questions go to the lake, subscriptions to alerts.
//!
//! To add a route: a file in `rest/`, a line in [`router`], a test in `tests/rest/`.

mod cursor;
mod graphql_http;
mod operations;
mod rest;
pub mod schema;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use marketlake_lake::Lake;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

const PATIENCE: Duration = Duration::from_secs(30);
const MOST_BODY_BYTES: usize = 1 << 20;

/// Every route, over a lake; `figures` renders `/metrics`.
pub fn router(lake: &Arc<Lake>, figures: PrometheusHandle) -> Router {
    let schema = schema::build(Arc::clone(lake));
    Router::new()
        .route(
            "/graphql",
            get(graphql_http::get)
                .post(graphql_http::post)
                .with_state(schema),
        )
        .route(
            "/v1/metrics",
            get(rest::metrics::get)
                .with_state(Arc::new(rest::metrics::Metrics::new(Arc::clone(lake)))),
        )
        .route("/v1/metric/{name}/timeseries", get(rest::timeseries::get))
        .route("/v1/metric/{name}/rank", get(rest::rank::get))
        .route("/readyz", get(operations::readyz))
        .with_state(Arc::clone(lake))
        .route("/healthz", get(operations::healthz))
        .route(
            "/metrics",
            get(operations::metrics).with_state((Arc::clone(lake), figures)),
        )
        .fallback(rest::not_found)
        .layer(RequestBodyLimitLayer::new(MOST_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            PATIENCE,
        ))
}
