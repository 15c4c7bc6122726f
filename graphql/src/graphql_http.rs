//! GraphQL over HTTP. Queries by POST or GET; mutations by POST with `application/json` only, so that no
//! foreign page can send one without a preflight.

use async_graphql::Request;
use async_graphql::parser::types::{ExecutableDocument, OperationType};
use async_graphql_axum::rejection::GraphQLRejection;
use async_graphql_axum::{GraphQLRequest, GraphQLResponse};
use axum::extract::{FromRequest, Query, Request as HttpRequest, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use crate::caller::Caller;
use crate::schema::Schema;

const RESPONSE_JSON: &str = "application/graphql-response+json";

/// A query in the address.
#[derive(Deserialize)]
pub(crate) struct Asked {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    variables: Option<String>,
}

/// `POST /graphql`. The extractor alone would take JSON under any content type.
pub(crate) async fn post(State(schema): State<Schema>, request: HttpRequest) -> Response {
    let headers = request.headers().clone();
    let caller = request.extensions().get::<Caller>().cloned();
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message = format!("expected the content type application/json, got {media_type:?}");
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message);
    }
    match GraphQLRequest::<GraphQLRejection>::from_request(request, &()).await {
        Ok(request) => answer(&schema, &headers, request.into_inner(), caller).await,
        Err(rejection) => {
            let message = format!("the body is no GraphQL request: {}", rejection.0);
            refuse(StatusCode::BAD_REQUEST, &message)
        }
    }
}

/// `GET /graphql?query=..`.
pub(crate) async fn get(
    State(schema): State<Schema>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let Some(query) = asked.query else {
        return refuse(StatusCode::BAD_REQUEST, "the parameter query is missing");
    };
    let mut request = Request::new(query);
    request.operation_name = asked.operation_name;
    if let Some(text) = asked.variables {
        match serde_json::from_str(&text) {
            Ok(variables) => {
                request = request.variables(async_graphql::Variables::from_json(variables));
            }
            Err(error) => {
                return refuse(
                    StatusCode::BAD_REQUEST,
                    &format!("variables is no JSON: {error}"),
                );
            }
        }
    }
    let name = request.operation_name.clone();
    if let Ok(document) = request.parsed_query()
        && !only_queries(document, name.as_deref())
    {
        let mut response = refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "by GET only queries are answered: use POST",
        );
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let caller = caller.map(|Extension(caller)| caller);
    answer(&schema, &headers, request, caller).await
}

/// Whether what would be executed is a query; without a name every operation must be one.
fn only_queries(document: &ExecutableDocument, name: Option<&str>) -> bool {
    document
        .operations
        .iter()
        .filter(|(own, _)| name.is_none() || own.map(async_graphql::Name::as_str) == name)
        .all(|(_, operation)| operation.node.ty == OperationType::Query)
}

async fn answer(
    schema: &Schema,
    headers: &HeaderMap,
    mut request: Request,
    caller: Option<Caller>,
) -> Response {
    if let Some(caller) = caller {
        request = request.data(caller);
    }
    let response = schema.execute(request).await;
    let wants = headers
        .get(ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let new_type = wants.contains(RESPONSE_JSON);
    let never_ran = response.is_err() && response.data == async_graphql::Value::Null;
    let status = if new_type && never_ran && response.errors.iter().all(|e| e.path.is_empty()) {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    let media_type = if new_type {
        RESPONSE_JSON
    } else {
        "application/json"
    };
    let mut answer = GraphQLResponse::from(response).into_response();
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"errors": [{"message": message}]}))).into_response()
}
