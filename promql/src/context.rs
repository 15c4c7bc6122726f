//! State, result and deadline of the handlers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use marketlake_http::clock::RequestClock;
use marketlake_http::limits::response_size::MaxBytes;
use marketlake_lake::Lake;
use promql_parser::parser::{Expr, parse};

use super::value::PromError;

/// Timeout of a request, from its arrival to its response.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) type ApiResult = Result<Response, PromError>;
pub(super) type ApiState = State<(Arc<Lake>, Arc<RequestClock>, MaxBytes)>;

/// Parses what is within its bounds.
pub(super) fn parse_checked(name: &str, text: &str) -> Result<Expr, PromError> {
    parse(text).map_err(|error| PromError::BadData(format!("{name}: {error}")))
}

/// Deadline of a request that begins now.
pub(super) fn deadline() -> Instant {
    Instant::now() + TIMEOUT
}
