//! Prometheus' HTTP API for reading (`/prometheus/api/v1/..`), for Grafana and promtool.
//!
//! A metric is `MEASURE{market="..",pair=".."}`. Ranges leave their begin out, as in Prometheus
//! since version 3. The covered part of PromQL is computed here; the rest is an error that says so.

mod aggregate;
mod answer;
mod binary;
mod bounds;
mod context;
mod eval;
mod function;
mod functions;
mod labels;
mod names;
mod parameters;
mod plan;
mod planner;
mod query;
mod selectors;
mod statistics;
mod value;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use marketlake_http::caller::require_read;
use marketlake_http::engine_header::write_engine_header;
use marketlake_http::limits::rate_limiter::charge;
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_http::response_cache::{ResponseCache, serve_cached};
use marketlake_http::state::ApiContext;

/// Routes of Prometheus' HTTP API.
pub fn router(context: &ApiContext) -> Router {
    let (lake, limits) = (&context.state.lake, context.options.limits);
    let cache = ResponseCache::new("prometheus", lake, &context.clock, limits.cache_bytes);
    let lasting = Router::new()
        .route(
            "/query_range",
            get(query::query_range).post(query::query_range),
        )
        .route("/series", get(names::series).post(names::series))
        .route("/labels", get(names::label_names).post(names::label_names))
        .route("/label/{name}/values", get(names::label_values))
        .route("/metadata", get(names::metadata))
        .route_layer(from_fn(write_engine_header))
        .route_layer(from_fn_with_state(Arc::new(cache), serve_cached));
    // Responses about the present moment are not cached: they do not hold for the next one.
    let passing = Router::new()
        .route("/query", get(query::query).post(query::query))
        .route("/status/buildinfo", get(query::buildinfo));
    let api = lasting
        .merge(passing)
        .with_state((
            Arc::clone(lake),
            Arc::clone(&context.clock),
            MaxBytes(limits.max_response_bytes),
        ))
        .route_layer(from_fn(require_read))
        .route_layer(from_fn_with_state(
            Arc::clone(&context.rate_limiter),
            charge,
        ));
    Router::new().nest("/prometheus/api/v1", api)
}
