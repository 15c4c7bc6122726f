//! The HTTP face.
//!
//! - `/graphql`, `/graphql/ws`: [`schema`], one file a subject, behind the rules of GraphQL over HTTP in `graphql_http`; `/graphiql` to try it out.
//! - `/v1/..`: `rest`, the routes that scripts have called for years and some more, one file each; described at `/openapi.json` and `/docs`.
//! - `/prometheus/api/v1/..`: `prometheus`, for Grafana.
//! - `/subscribe`, `/confirm`, `/unsubscribe`, `/snooze`, `/manage`: `pages`, where mails lead to.
//! - `/bounces`: `hooks`, what mail servers tell us later.
//! - `/healthz`, `/readyz`; on the operations listener `/metrics` too: `operations`.
//!
//! On the way in a request passes `caller` and [`auth`] (who is it?), by `client_address`, `authority` (the host that it was sent to) and `browser`
//! (foreign pages), then `limits` (is there room?), then the points that it costs, then `cache`.
//!
//! Invariant: no SQL and no object store here; questions go to the lake, subscriptions to alerts.
//!
//! To add a route: a file in `rest/`, a line in its router, a test in `tests/rest/`.

mod accept;
mod asking;
pub mod auth;
mod authority;
mod browser;
mod cache;
mod caller;
mod client_address;
mod clock;
mod compute;
mod cursor;
mod graphql_http;
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

use auth::Gate;
use browser::Sites;
use caller::Door;
pub use client_address::{ForwardedHeader, TrustedProxies};
use clock::Clock;
use graphql_http::{Endpoint, Parts};
use limits::{Rate, Room, charge, shed};
use operations::Metrics;
pub use operations::{API_PARTS, watch};
pub use options::{Limits, Options};
use pages::Desk;
pub use rest::openapi;
pub use shell::MAX_BODY_BYTES;

/// Requests of operators' machines answered at once.
const MAX_OPERATIONS_REQUESTS: usize = 16;

/// The HTTP interfaces of a process. Serve each with the peer's address as connect info.
pub struct Http {
    lake: Arc<Lake>,
    figures: PrometheusHandle,
    options: Options,
    gate: Arc<Gate>,
}

impl Http {
    /// Over a lake; `figures` renders `/metrics`.
    #[must_use]
    pub fn new(lake: &Arc<Lake>, figures: PrometheusHandle, options: Options) -> Self {
        Self {
            lake: Arc::clone(lake),
            figures,
            gate: Arc::new(Gate::new(Arc::clone(lake), options.auth.clone())),
            options,
        }
    }

    /// Every route of the API.
    pub fn api(&self) -> Router {
        let (lake, options) = (&self.lake, &self.options);
        let desk = Desk {
            lake: Arc::clone(lake),
            caps: options.caps,
            most_metrics: options.most_metrics,
        };
        let rate = Arc::new(Rate::new(options.limits.points_a_minute));
        let clock = Arc::new(Clock::default());
        let sites = Arc::new(Sites {
            own: options.public_origin.clone(),
            allowed: options.origins.clone(),
        });
        let room = Room::new(options.limits.most_requests);
        let endpoint = Arc::new(Endpoint::new(Parts {
            schema: schema::build(desk.clone()),
            lake: Arc::clone(lake),
            gate: Arc::clone(&self.gate),
            rate: Arc::clone(&rate),
            clock: Arc::clone(&clock),
            stop: options.stop.clone(),
            most_batch: options.limits.most_batch,
            most_live: options.limits.most_live,
            cache_bytes: options.limits.cache_bytes,
            max_response_bytes: options.limits.max_response_bytes,
            max_streams_per_client: options.limits.max_streams_per_client,
            permits: Arc::clone(&room.permits),
        }));
        let door = Door {
            gate: Arc::clone(&self.gate),
            rate: Arc::clone(&rate),
            trusted_proxies: options.trusted_proxies,
            sites,
        };
        let pages_and_hooks = Router::new()
            .route("/bounces", post(hooks::post).with_state(desk.clone()))
            .merge(pages::router(desk.clone()))
            .route_layer(from_fn_with_state(Arc::clone(&rate), charge));
        let answering = Router::new()
            .route("/graphql", get(graphql_http::get).post(graphql_http::post))
            .route("/graphql/ws", any(graphql_http::websocket::upgrade))
            .with_state(endpoint)
            .merge(rest::router(lake, &desk, &rate, &clock, options))
            .merge(prometheus::router(lake, &rate, &clock, options))
            .merge(pages_and_hooks)
            .fallback(rest::not_found)
            .layer(from_fn_with_state(room, shed))
            // Outside, so that who waits to be identified takes nobody's place.
            .layer(from_fn_with_state(door, caller::know));
        let routes = answering.merge(self.health());
        shell::around(routes, options).layer(from_fn(shell::no_nul))
    }

    /// What operators' machines ask: health and `/metrics`.
    pub fn operations(&self) -> Router {
        let metrics = Arc::new(Metrics {
            lake: Arc::clone(&self.lake),
            figures: self.figures.clone(),
            gate: Arc::clone(&self.gate),
            without_key: self.options.metrics_without_key,
        });
        let room = Room::new(MAX_OPERATIONS_REQUESTS);
        let routes = Router::new()
            .route("/metrics", get(operations::metrics).with_state(metrics))
            .fallback(rest::not_found)
            .layer(from_fn_with_state(room, shed))
            .merge(self.health());
        // No page of another origin reads them.
        let options = Options {
            origins: Vec::new(),
            ..self.options.clone()
        };
        shell::around(routes, &options)
    }

    /// Work that goes on until the process is stopped: keeps the identity provider's keys fresh, and
    /// ends what was opened by keys that were revoked.
    pub fn background(&self) -> impl Future<Output = ()> + Send + use<> {
        let (gate, stop) = (Arc::clone(&self.gate), self.options.stop.clone());
        async move { gate.run(&stop).await }
    }

    fn health(&self) -> Router {
        let looked = operations::Looked {
            health: self.options.health.clone(),
            stop: self.options.stop.clone(),
        };
        Router::new()
            .route("/healthz", get(operations::healthz))
            .route("/readyz", get(operations::readyz))
            .with_state(looked)
    }
}
