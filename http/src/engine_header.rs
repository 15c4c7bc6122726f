//! Response header that names the query engines behind an answer.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use marketlake_lake::record_engines;

/// Names the engines: `memory`, `datafusion`, `athena`.
pub const ENGINE: &str = "marketlake-engine";

/// Adds the engines that answered a request to its response.
pub async fn write_engine_header(request: Request, next: Next) -> Response {
    let (mut response, engines) = record_engines(next.run(request)).await;
    if let Ok(named) = HeaderValue::from_str(&engines.join(", "))
        && !engines.is_empty()
    {
        response.headers_mut().insert(ENGINE, named);
    }
    response
}
