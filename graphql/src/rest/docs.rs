//! Pages for those who write programs: the REST routes described (`/openapi.json`, `/docs`), and GraphQL to try out (`/graphiql`, where `/`
//! leads). All that they are made of is served from here.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::{Config, serve};

use super::{Problem, describe, not_found};

/// Styles and images that the two programs write into their pages themselves.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'";

macro_rules! packed {
    ($name:literal) => {
        include_bytes!(concat!("../../../web/graphiql/", $name, ".gz"))
    };
}

static DESCRIBED: LazyLock<String> =
    LazyLock::new(|| describe::openapi().to_pretty_json().unwrap_or_default());

pub(super) fn router() -> Router {
    Router::new()
        .route("/openapi.json", get(described))
        // Browsers take the fragment along, in which the operator's link has its key.
        .route("/", get(|| async { Redirect::temporary("/graphiql") }))
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|uri: Uri| docs(uri, Path(String::new()))))
        .route(
            "/docs/{*file}",
            get(|uri: Uri, file: Path<String>| docs(uri, file)),
        )
        .route("/graphiql", get(graphiql))
        .route("/graphiql/{file}", get(graphiql_file))
}

async fn described() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DESCRIBED.as_str())
}

async fn docs(uri: Uri, Path(file): Path<String>) -> Result<Response, Problem> {
    let config = Arc::new(Config::from("/openapi.json"));
    let found = serve(&file, config).map_err(Problem::internal)?;
    let Some(found) = found else {
        return Err(not_found(uri).await);
    };
    let typed = HeaderValue::from_str(&found.content_type).map_err(Problem::internal)?;
    let mut response = found.bytes.into_owned().into_response();
    response.headers_mut().insert(CONTENT_TYPE, typed);
    if found.gzpipped {
        let packed = HeaderValue::from_static("gzip");
        response.headers_mut().insert(CONTENT_ENCODING, packed);
    }
    Ok(guarded(response))
}

async fn graphiql() -> Response {
    let page = include_str!("../../../web/graphiql/index.html");
    guarded(([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response())
}

async fn graphiql_file(uri: Uri, Path(file): Path<String>) -> Result<Response, Problem> {
    let (content_type, packed, bytes): (_, _, &'static [u8]) = match file.as_str() {
        "start.js" => (
            SCRIPT,
            false,
            include_bytes!("../../../web/graphiql/start.js"),
        ),
        "start.css" => (
            STYLE,
            false,
            include_bytes!("../../../web/graphiql/start.css"),
        ),
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
    Ok(guarded(response))
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

fn guarded(mut response: Response) -> Response {
    let policy = HeaderValue::from_static(POLICY);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}
