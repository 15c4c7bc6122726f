//! REST API: `/v1/..`, one file a route, described at `/openapi.json` and `/docs`.

mod coverage;
mod format;
mod jumps;
mod metric;
mod metrics;
mod openapi;
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
use axum::{Extension, Router};
use marketlake_http::caller::require_read;
use marketlake_http::engine_header::write_engine_header;
use marketlake_http::limits::rate_limiter::charge;
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_http::response_cache::{ResponseCache, serve_cached};
use marketlake_http::state::{ApiContext, AppState};
use marketlake_lake::Lake;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Routes of the REST API.
pub fn router(context: &ApiContext) -> Router {
    let lake = &context.state.lake;
    let limits = context.options.limits;
    let charge = from_fn_with_state(Arc::clone(&context.rate_limiter), charge);
    let cache = ResponseCache::new("rest", lake, &context.clock, limits.cache_bytes);
    let (prices, _) = price_routes().split_for_parts();
    let prices = prices
        .with_state(Arc::clone(lake))
        .route_layer(Extension(MaxBytes(limits.max_response_bytes)))
        .route_layer(from_fn(write_engine_header))
        .route_layer(from_fn_with_state(Arc::new(cache), serve_cached))
        .route_layer(from_fn(require_read))
        .route_layer(charge.clone());
    let (records, _) = record_routes().split_for_parts();
    let records = records
        .with_state(Arc::clone(lake))
        .route_layer(from_fn(write_engine_header))
        .route_layer(from_fn(require_read))
        .route_layer(charge.clone());
    let (own, _) = subscription_routes().split_for_parts();
    let own = own.with_state(context.state.clone()).route_layer(charge);
    prices.merge(records).merge(own).merge(swagger_ui::router())
}

/// Routes that read prices, each with its documentation: cached, and for the scope `read`.
fn price_routes() -> OpenApiRouter<Arc<Lake>> {
    OpenApiRouter::new()
        .routes(routes!(metrics::get))
        .routes(routes!(metric::get))
        .routes(routes!(timeseries::get))
        .routes(routes!(rank::get))
        .routes(routes!(ranking::get))
        .routes(routes!(jumps::get))
}

/// Routes that read samples together with records, which change without a commit: for the scope
/// `read`, not cached.
fn record_routes() -> OpenApiRouter<Arc<Lake>> {
    OpenApiRouter::new().routes(routes!(coverage::get))
}

/// Routes of the owner's subscriptions, each with its documentation.
fn subscription_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(subscriptions::list, subscriptions::create))
        .routes(routes!(
            subscriptions::get,
            subscriptions::edit,
            subscriptions::change,
            subscriptions::delete
        ))
        .routes(routes!(subscriptions::test))
}

/// Builds the OpenAPI document: that of each route.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = openapi::base();
    document.merge(price_routes().into_openapi());
    document.merge(record_routes().into_openapi());
    document.merge(subscription_routes().into_openapi());
    document
}
