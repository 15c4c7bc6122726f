//! GraphiQL (`/graphiql`, to which `/` redirects), served from the binary.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use marketlake_http::middleware::with_app_policy;
use marketlake_http::problem::{Problem, not_found};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

macro_rules! packed {
    ($name:literal) => {
        include_bytes!(concat!("../graphiql/", $name, ".gz"))
    };
}

/// Routes of GraphiQL.
pub(crate) fn router() -> Router {
    Router::new()
        // Browsers take the fragment along, in which the operator's link has its key.
        .route("/", get(|| async { Redirect::temporary("/graphiql") }))
        .route("/graphiql", get(page))
        .route("/graphiql/{file}", get(asset))
}

async fn page() -> Response {
    let page = include_str!("../graphiql/index.html");
    with_app_policy(([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response())
}

async fn asset(uri: Uri, Path(file): Path<String>) -> Result<Response, Problem> {
    let (content_type, packed, bytes): (_, _, &'static [u8]) = match file.as_str() {
        "start.js" => (SCRIPT, false, include_bytes!("../graphiql/start.js")),
        "start.css" => (STYLE, false, include_bytes!("../graphiql/start.css")),
        "react.js" => (SCRIPT, true, packed!("react.js")),
        "react-dom.js" => (SCRIPT, true, packed!("react-dom.js")),
        "graphiql.js" => (SCRIPT, true, packed!("graphiql.js")),
        "graphiql.css" => (STYLE, true, packed!("graphiql.css")),
        _ => return Err(not_found(uri).await),
    };
    let mut response = ([(CONTENT_TYPE, content_type)], bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=3600"),
    );
    if packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(with_app_policy(response))
}
