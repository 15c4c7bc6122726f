//! The HTTP face.
//!
//! - `/graphql`, `/graphql/ws`: [`schema`], one file a subject, behind the rules of GraphQL over HTTP in `graphql_http`; `/graphiql` to try it out.
//! - `/v1/..`: `rest`, the routes that scripts have called for years and some more, one file each; described at `/openapi.json` and `/docs`.
//! - `/prometheus/api/v1/..`: `prometheus`, for Grafana.
//! - `/subscribe`, `/confirm`, `/unsubscribe`, `/snooze`, `/manage`: `pages`, where mails lead to.
//! - `/bounces`: `hooks`, what mail servers tell us later.
//! - `/healthz`, `/readyz`, `/metrics`: `operations`.
//!
//! On the way in a request passes `limits` (is there room?), `caller` and [`auth`] (who is it?), then the points that it costs, then `cache`.
//!
//! Invariant: no SQL and no object store here; questions go to the lake, subscriptions to alerts.
//!
//! To add a route: a file in `rest/`, a line in its router, a test in `tests/rest/`.

mod accept;
mod asking;
pub mod auth;
mod cache;
mod caller;
mod clock;
mod cursor;
mod graphql_http;
mod heavy;
mod hooks;
mod limits;
mod operations;
mod options;
mod pages;
mod prometheus;
mod rest;
pub mod schema;
mod shell;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};
use marketlake_lake::Lake;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;

use auth::Gate;
use caller::Door;
use clock::Clock;
use graphql_http::{Endpoint, Parts};
use limits::{Rate, shed};
pub use options::{Limits, Options};
use pages::Desk;
pub use rest::openapi;

/// Every route, over a lake; `figures` renders `/metrics`. Serve it with the peer's address as connect info.
pub fn router(lake: &Arc<Lake>, figures: PrometheusHandle, options: Options) -> Router {
    let desk = Desk {
        lake: Arc::clone(lake),
        caps: options.caps,
        most_metrics: options.most_metrics,
    };
    let rate = Arc::new(Rate::new(options.limits.points_a_minute));
    let gate = Arc::new(Gate::new(Arc::clone(lake), options.auth.clone()));
    let clock = Arc::new(Clock::default());
    let endpoint = Arc::new(Endpoint::new(Parts {
        schema: schema::build(desk.clone()),
        lake: Arc::clone(lake),
        gate: Arc::clone(&gate),
        rate: Arc::clone(&rate),
        clock: Arc::clone(&clock),
        stop: options.stop.clone(),
        origins: options.origins.clone(),
        most_batch: options.limits.most_batch,
        most_live: options.limits.most_live,
        cache_bytes: options.limits.cache_bytes,
    }));
    let permits = Arc::new(Semaphore::new(options.limits.most_requests));
    let door = Door {
        gate,
        trusted_proxies: options.trusted_proxies,
    };
    let answering = Router::new()
        .route("/graphql", get(graphql_http::get).post(graphql_http::post))
        .route("/graphql/ws", any(graphql_http::websocket::upgrade))
        .with_state(endpoint)
        .merge(rest::router(lake, &desk, &rate, &clock, &options))
        .merge(prometheus::router(lake, &rate, &clock, &options))
        .route("/bounces", post(hooks::post).with_state(desk.clone()))
        .merge(pages::router(desk))
        .route(
            "/metrics",
            get(operations::metrics).with_state((Arc::clone(lake), figures)),
        )
        .fallback(rest::not_found)
        .layer(from_fn_with_state(door, caller::know))
        .layer(from_fn_with_state(permits, shed));
    let health = Router::new()
        .route("/healthz", get(operations::healthz))
        .route(
            "/readyz",
            get(operations::readyz).with_state((Arc::clone(lake), options.stop.clone())),
        );
    shell::around(answering.merge(health), &options).layer(from_fn(shell::no_nul))
}
