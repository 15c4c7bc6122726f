//! The REST routes: those that scripts have called for years, whose shapes are as they always were, and some more in their manner.

mod cached;
mod describe;
mod docs;
mod format;
mod jumps;
mod metric;
mod metrics;
mod parameters;
mod problem;
mod rank;
mod ranking;
mod subscriptions;
mod table;
mod timeseries;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use marketlake_lake::{Lake, witnessed};

pub(crate) use cached::{Shelf, cached};
pub use describe::openapi;
pub(crate) use problem::{Problem, not_found};

use crate::Options;
use crate::auth::Scope;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::limits::{MaxBytes, Rate, charge};
use crate::pages::Desk;

/// Names the engines: `memory`, `datafusion`, `athena`.
pub(crate) const ENGINE: &str = "marketlake-engine";

/// All of them.
pub(crate) fn router(
    lake: &Arc<Lake>,
    desk: &Desk,
    rate: &Arc<Rate>,
    clock: &Arc<Clock>,
    options: &Options,
) -> Router {
    let shelf = Arc::new(Shelf::new("rest", lake, clock, options.limits.cache_bytes));
    let prices = Router::new()
        .route("/v1/metrics", get(metrics::get))
        .route("/v1/metrics/{name}", get(metric::get))
        .route("/v1/metric/{name}/timeseries", get(timeseries::get))
        .route("/v1/metric/{name}/rank", get(rank::get))
        .route("/v1/ranking", get(ranking::get))
        .route("/v1/jumps", get(jumps::get))
        .with_state(Arc::clone(lake))
        .route_layer(Extension(MaxBytes(options.limits.max_response_bytes)))
        .route_layer(from_fn(engines))
        .route_layer(from_fn_with_state(shelf, cached))
        .route_layer(from_fn(needs_read))
        .route_layer(from_fn_with_state(Arc::clone(rate), charge));
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
        .with_state(desk.clone())
        .route_layer(from_fn_with_state(Arc::clone(rate), charge));
    prices.merge(own).merge(docs::router())
}

/// Says by which engines an answer was given.
pub(crate) async fn engines(request: Request, next: Next) -> Response {
    let (mut response, engines) = witnessed(next.run(request)).await;
    if let Ok(named) = HeaderValue::from_str(&engines.join(", "))
        && !engines.is_empty()
    {
        response.headers_mut().insert(ENGINE, named);
    }
    response
}

/// Lets those in who may read.
pub(crate) async fn needs_read(
    State(()): State<()>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    match caller.grant.refusal(Scope::Read) {
        None => next.run(request).await,
        Some((code, message)) => Problem::refused(code, message).into_response(),
    }
}
