//! OpenAPI document (`/openapi.json`) and Swagger UI (`/docs`), served from the binary.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use marketlake_http::middleware::with_app_policy;
use marketlake_http::problem::{Problem, not_found};
use utoipa_swagger_ui::{Config, serve};

static OPENAPI_JSON: LazyLock<String> =
    LazyLock::new(|| crate::openapi().to_pretty_json().unwrap_or_default());

pub(crate) fn router() -> Router {
    Router::new()
        .route("/openapi.json", get(openapi_json))
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|uri: Uri| docs(uri, Path(String::new()))))
        .route(
            "/docs/{*file}",
            get(|uri: Uri, file: Path<String>| docs(uri, file)),
        )
}

async fn openapi_json() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI_JSON.as_str())
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
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(CONTENT_ENCODING, gzip);
    }
    Ok(with_app_policy(response))
}
