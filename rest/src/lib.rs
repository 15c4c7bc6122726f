//! REST API: `/v1/..`, one file a route, described at `/openapi.json` and `/docs`.

mod format;
mod jumps;
mod metric;
mod metrics;
pub mod openapi;
mod query_params;
mod rank;
mod ranking;
mod resolve;
mod schemas;
mod subscriptions;
mod swagger_ui;
mod table;
mod timeseries;

use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Extension, Router};
use marketlake_http::caller::require_read;
use marketlake_http::engine_header::write_engine_header;
use marketlake_http::limits::rate_limiter::charge;
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_http::response_cache::{ResponseCache, serve_cached};
use marketlake_http::state::ApiContext;

/// Routes of the REST API.
pub fn router(context: &ApiContext) -> Router {
    let lake = &context.state.lake;
    let limits = context.options.limits;
    let charge = from_fn_with_state(Arc::clone(&context.rate_limiter), charge);
    let cache = ResponseCache::new("rest", lake, &context.clock, limits.cache_bytes);
    let prices = Router::new()
        .route("/v1/metrics", get(metrics::get))
        .route("/v1/metrics/{name}", get(metric::get))
        .route("/v1/metric/{name}/timeseries", get(timeseries::get))
        .route("/v1/metric/{name}/rank", get(rank::get))
        .route("/v1/ranking", get(ranking::get))
        .route("/v1/jumps", get(jumps::get))
        .with_state(Arc::clone(lake))
        .route_layer(Extension(MaxBytes(limits.max_response_bytes)))
        .route_layer(from_fn(write_engine_header))
        .route_layer(from_fn_with_state(Arc::new(cache), serve_cached))
        .route_layer(from_fn(require_read))
        .route_layer(charge.clone());
    let own = Router::new()
        .route(
            "/v1/subscriptions",
            get(subscriptions::list).post(subscriptions::create),
        )
        .route(
            "/v1/subscriptions/{id}",
            get(subscriptions::get)
                .put(subscriptions::edit)
                .patch(subscriptions::change)
                .delete(subscriptions::delete),
        )
        .route("/v1/subscriptions/{id}/test", post(subscriptions::test))
        .with_state(context.state.clone())
        .route_layer(charge);
    prices.merge(own).merge(swagger_ui::router())
}
