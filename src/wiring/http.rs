//! Composition of the HTTP APIs: the routers of all protocols behind one middleware.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use marketlake_http::auth::authenticator::Authenticator;
use marketlake_http::health::{self, HealthState};
use marketlake_http::identification::identify_caller;
use marketlake_http::limits::load_shed::{LoadShedder, shed_load};
use marketlake_http::limits::rate_limiter::charge;
use marketlake_http::metrics::{self, MetricsEndpoint};
use marketlake_http::options::HttpOptions;
use marketlake_http::problem::not_found;
use marketlake_http::state::ApiContext;
use marketlake_http::{bounce_webhook, middleware};
use marketlake_lake::Lake;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;

/// Requests of the operations listener that run at the same time.
const MAX_OPERATIONS_REQUESTS: usize = 16;

/// HTTP APIs of a process. Serve each router with the peer's address as connect info.
pub(crate) struct HttpApis {
    lake: Arc<Lake>,
    recorder: PrometheusHandle,
    options: HttpOptions,
    authenticator: Arc<Authenticator>,
}

impl HttpApis {
    /// Over a lake; `recorder` renders `/metrics`.
    #[must_use]
    pub(crate) fn new(lake: &Arc<Lake>, recorder: PrometheusHandle, options: HttpOptions) -> Self {
        let authenticator = Authenticator::new(Arc::clone(lake), options.auth.clone());
        Self {
            lake: Arc::clone(lake),
            recorder,
            authenticator: Arc::new(authenticator),
            options,
        }
    }

    /// Routes of the API listener.
    pub(crate) fn api(&self) -> Router {
        let authenticator = Arc::clone(&self.authenticator);
        let context = ApiContext::new(&self.lake, authenticator, self.options.clone());
        let bounces = Router::new()
            .route("/bounces", post(bounce_webhook::post))
            .with_state(context.state.clone())
            .route_layer(from_fn_with_state(
                Arc::clone(&context.rate_limiter),
                charge,
            ));
        let routes = Router::new()
            .merge(marketlake_graphql::router(&context))
            .merge(marketlake_rest::router(&context))
            .merge(marketlake_promql::router(&context))
            .merge(marketlake_web::router(&context))
            .merge(bounces)
            .fallback(not_found)
            .layer(
                ServiceBuilder::new()
                    // Outside, so that a client that is being identified takes no other client's
                    // place.
                    .layer(from_fn_with_state(context.caller_layer(), identify_caller))
                    .layer(from_fn_with_state(context.load_shedder.clone(), shed_load)),
            )
            .merge(self.health());
        middleware::apply(routes, &self.options)
    }

    /// Routes of the operations listener: health and `/metrics`.
    pub(crate) fn operations(&self) -> Router {
        let endpoint = Arc::new(MetricsEndpoint {
            lake: Arc::clone(&self.lake),
            recorder: self.recorder.clone(),
            authenticator: Arc::clone(&self.authenticator),
            allow_local_anonymous: self.options.metrics_without_key,
        });
        let load_shedder = LoadShedder::new(MAX_OPERATIONS_REQUESTS);
        let routes = Router::new()
            .route("/metrics", get(metrics::get).with_state(endpoint))
            .fallback(not_found)
            .layer(from_fn_with_state(load_shedder, shed_load))
            .merge(self.health());
        // No page of another origin reads them.
        let options = HttpOptions {
            cors_origins: Vec::new(),
            ..self.options.clone()
        };
        middleware::apply(routes, &options)
    }

    /// Keeps the identity provider's keys fresh, and ends what was opened by keys that were
    /// revoked, until the process stops.
    pub(crate) fn background(&self) -> impl Future<Output = ()> + Send + use<> {
        let authenticator = Arc::clone(&self.authenticator);
        let stop = self.options.stop.clone();
        async move { authenticator.run(&stop).await }
    }

    fn health(&self) -> Router {
        let state = HealthState {
            health: self.options.health.clone(),
            stop: self.options.stop.clone(),
        };
        Router::new()
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .with_state(state)
    }
}
