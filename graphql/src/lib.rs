//! The HTTP face.
//!
//! - `/graphql`: [`schema`], one file a subject, behind the rules of GraphQL over HTTP in `graphql_http`.
//! - `/v1/..`: `rest`, the routes that scripts have called for years, one file each.
//! - `/subscribe`, `/confirm`, `/unsubscribe`, `/snooze`, `/manage`: `pages`, where mails lead to.
//! - `/bounces`: `hooks`, what mail servers tell us later.
//! - `/healthz`, `/readyz`, `/metrics`: `operations`.
//!
//! Invariant: no SQL and no object store here; questions go to the lake, subscriptions to alerts.
//!
//! To add a route: a file in `rest/`, a line in [`router`], a test in `tests/rest/`.

mod asking;
mod caller;
mod cursor;
mod graphql_http;
mod hooks;
mod operations;
mod pages;
mod rest;
pub mod schema;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use marketlake_alerts::subscription::Caps;
use marketlake_lake::Lake;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use pages::Desk;

const PATIENCE: Duration = Duration::from_secs(30);
const MOST_BODY_BYTES: usize = 1 << 20;

/// How the face behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How much may be asked for in somebody's name.
    pub caps: Caps,
    /// The most metrics that one subscription may mean.
    pub most_metrics: usize,
    /// So many proxies of our own stand before us: the caller's address is what the outermost of them saw.
    pub trusted_proxies: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            caps: Caps::default(),
            most_metrics: 10_000,
            trusted_proxies: 0,
        }
    }
}

/// Every route, over a lake; `figures` renders `/metrics`. Serve it with the peer's address as connect info.
pub fn router(lake: &Arc<Lake>, figures: PrometheusHandle, options: Options) -> Router {
    let desk = Desk {
        lake: Arc::clone(lake),
        caps: options.caps,
        most_metrics: options.most_metrics,
    };
    let schema = schema::build(desk.clone());
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
        .route("/bounces", post(hooks::post).with_state(desk.clone()))
        .merge(pages::router(desk))
        .fallback(rest::not_found)
        .layer(from_fn_with_state(options.trusted_proxies, caller::know))
        .layer(RequestBodyLimitLayer::new(MOST_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            PATIENCE,
        ))
}
