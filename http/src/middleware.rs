//! Middleware of every route: request id, timeout, body limit, compression, security headers, CORS.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    LINK, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tower::ServiceBuilder;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::engine_header::ENGINE;
use crate::options::HttpOptions;
use crate::problem::Problem;
use crate::request_id::{X_REQUEST_ID, assign_request_id};

/// Timeout of a request that was read, until its response begins.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's body.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Media type of streams of parts, which must not be held back to be compressed.
pub const MULTIPART_MIXED: &str = "multipart/mixed";
const PREFLIGHT_TTL: Duration = Duration::from_secs(3_600);

/// Wraps routes in the middleware.
pub fn apply(routes: Router, options: &HttpOptions) -> Router {
    let told = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    // The usual level takes longer than the answer itself did, to make 6 kB of a day's 84 rather
    // than 10.
    let light = CompressionLevel::Fastest;
    let streams = NotForContentType::const_new(MULTIPART_MIXED);
    let year = options.is_https.then_some("max-age=31536000");
    let origins = &options.cors_origins;
    let cross_origin = (!origins.is_empty()).then(|| cors(origins));
    // One stack, the outermost first: each layer of a router is a box, and is cloned with each
    // request.
    routes.layer(
        ServiceBuilder::new()
            .layer(from_fn(assign_request_id))
            .option_layer(year.map(|year| told(STRICT_TRANSPORT_SECURITY, year)))
            .layer(told(
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; frame-ancestors 'none'",
            ))
            .layer(told(X_FRAME_OPTIONS, "DENY"))
            .layer(told(REFERRER_POLICY, "no-referrer"))
            .layer(told(X_CONTENT_TYPE_OPTIONS, "nosniff"))
            // Within the headers, which answers to preflights have, too.
            .option_layer(cross_origin)
            .layer(
                CompressionLayer::new()
                    .quality(light)
                    .compress_when(DefaultPredicate::new().and(streams)),
            )
            .layer(CatchPanicLayer::new())
            .layer(from_fn(reject_nul))
            .layer(from_fn(enforce_timeout))
            .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES)),
    )
}

/// CORS of the configured origins, with keys but without cookies.
fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok()))
    };
    let own = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_NONE_MATCH,
            own("idempotency-key"),
            own("x-api-key"),
            X_REQUEST_ID,
            own("traceparent"),
        ])
        .expose_headers([
            ETAG,
            LINK,
            RETRY_AFTER,
            X_REQUEST_ID,
            own("ratelimit"),
            own("ratelimit-policy"),
            own(ENGINE),
            own("marketlake-simulated"),
        ])
        .max_age(PREFLIGHT_TTL)
}

/// Ends requests that take too long.
async fn enforce_timeout(request: Request, next: Next) -> Response {
    match timeout(RESPONSE_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timeout(RESPONSE_TIMEOUT).into_response(),
    }
}

/// Databases cannot hold the character NUL in a text, so none is let in by an address.
async fn reject_nul(request: Request, next: Next) -> Response {
    let uri = request.uri();
    let whole = uri.path_and_query().map_or("", |whole| whole.as_str());
    if whole.contains("%00") {
        let detail = "the URL: expected no NUL character";
        return Problem::new(StatusCode::BAD_REQUEST, "Bad address", detail).into_response();
    }
    next.run(request).await
}

/// Content security policy of pages that bring scripts and styles of their own.
const APP_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'",
);

/// Lets a page load the scripts, styles and images of this server.
#[must_use]
pub fn with_app_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, APP_POLICY);
    response
}
