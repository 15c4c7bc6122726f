//! Shared parts of the HTTP APIs: state, authentication, limits, caches, middleware.
//!
//! A request gets its id ([`request_id`]), passes [`identification`] (client address, key or token,
//! foreign pages), then [`limits`] (room, then points), then a cache: [`response_cache`] or
//! [`query_cache`].
//!
//! Invariant: knows no protocol above it, and neither SQL nor the object store.

pub mod accept;
pub mod auth;
pub mod authority;
pub mod bounce_webhook;
pub mod caller;
pub mod client_address;
pub mod clock;
pub mod compute;
pub mod csrf;
pub mod cursor;
pub mod engine_header;
pub mod health;
pub mod idempotency;
pub mod identification;
pub mod jump_query;
pub mod limits;
pub mod metrics;
pub mod middleware;
pub mod options;
pub mod problem;
pub mod query_cache;
pub mod request_id;
pub mod response_cache;
pub mod state;
pub mod subscription_requests;
