//! GraphQL API.
//!
//! - [`schema`]: the schema, one file a subject.
//! - `transport`: GraphQL over HTTP, server-sent events, `multipart/mixed` and WebSocket.
//! - `lexer`: counts tokens before a document is parsed.
//!
//! Invariant: no SQL and no object store; the schema reads through the lake and the alerts.

mod lexer;
pub mod schema;
mod transport;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get};
use marketlake_http::state::ApiContext;

use transport::executor::Executor;

/// Routes of the GraphQL API.
pub fn router(context: &ApiContext) -> Router {
    let executor = Arc::new(Executor::new(context));
    Router::new()
        .route("/graphql", get(transport::get).post(transport::post))
        .route("/graphql/ws", any(transport::websocket::upgrade))
        .with_state(executor)
}
