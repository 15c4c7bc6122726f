//! Web pages: those that mails lead to, and GraphiQL.

mod graphiql;
mod pages;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use marketlake_http::limits::rate_limiter::charge;
use marketlake_http::state::ApiContext;

/// Routes of the pages.
pub fn router(context: &ApiContext) -> Router {
    let charge = from_fn_with_state(Arc::clone(&context.rate_limiter), charge);
    pages::router(context.state.clone())
        .route_layer(charge)
        .merge(graphiql::router())
}
