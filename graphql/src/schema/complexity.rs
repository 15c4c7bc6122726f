//! Query cost, and sanitized errors.
//!
//! async-graphql tells a document's complexity to extensions only, and an extension slows down each
//! field and each item of a list that is resolved: a day as rows takes half as long again. So a
//! schema of its own validates, and the one that executes has no extension.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{
    ErrorExtensionValues, PathSegment, Request, Response, ServerError, ValidationResult, Value,
};
use marketlake_http::request_id::RequestId;

use crate::schema::Schema;

/// Complexity that costs one point.
const COMPLEXITY_PER_POINT: usize = 100;

/// Errors of a response.
const MAX_ERRORS: usize = 100;

/// The complexity of a request, once it is validated. In the request's data.
#[derive(Clone, Default)]
struct Complexity(Arc<AtomicUsize>);

/// Notes the complexity of each request, and ends it there.
pub(crate) struct ComplexityRecorder;

impl ExtensionFactory for ComplexityRecorder {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for ComplexityRecorder {
    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(context).await?;
        if let Some(complexity) = context.data_opt::<Complexity>() {
            complexity.0.store(result.complexity, Ordering::Relaxed);
        }
        Err(Vec::new())
    }
}

/// Points that a request costs, one at least; else the response that says what is wrong with it.
/// `validation_schema` is a schema with the [`ComplexityRecorder`]; `introspected` are fields that
/// it does not know to be many.
pub(crate) async fn query_cost(
    validation_schema: &Schema,
    request: &mut Request,
    introspected: usize,
) -> Result<u32, Response> {
    let complexity = Complexity::default();
    let document = request.parsed_query().cloned();
    let document = document.map_err(|error| Response::from_errors(vec![error]))?;
    let mut evaluated = Request::new("")
        .variables(request.variables.clone())
        .data(complexity.clone());
    evaluated.operation_name.clone_from(&request.operation_name);
    evaluated.set_parsed_query(document);
    let response = validation_schema.execute(evaluated).await;
    if response.is_err() {
        return Err(response);
    }
    let complexity = complexity.0.load(Ordering::Relaxed);
    let points = complexity
        .saturating_add(introspected)
        .div_ceil(COMPLEXITY_PER_POINT);
    Ok(u32::try_from(points).unwrap_or(u32::MAX).max(1))
}

/// Gives each error a code. Internal errors are logged, and clients get their number only.
pub(crate) fn sanitize_errors(response: &mut Response) {
    // Each field of a document may be wrong, and each item of a list may fail.
    let left_out = response.errors.len().saturating_sub(MAX_ERRORS);
    response.errors.truncate(MAX_ERRORS);
    if response
        .errors
        .iter()
        .any(|error| is_left_out(error, &response.data))
    {
        response.data = Value::Null;
    }
    for error in &mut response.errors {
        if error
            .extensions
            .as_ref()
            .is_some_and(|e| e.get("code").is_some())
        {
            continue;
        }
        let mut extensions = error.extensions.take().unwrap_or_default();
        if error.path.is_empty() {
            extensions.set("code", "GRAPHQL_VALIDATION_FAILED");
        } else if error.message.starts_with("Failed to parse ")
            || error.message.starts_with("Invalid value")
        {
            extensions.set("code", "BAD_ARGUMENT");
        } else {
            mask(error, &mut extensions);
        }
        error.extensions = Some(extensions);
    }
    if left_out > 0
        && let Some(last) = response.errors.last_mut()
    {
        last.message = format!("{}; {left_out} more errors are left out", last.message);
    }
}

/// Whether an error is of a root field that the data has nothing of: one that cannot be null, so
/// that all of the data is (GraphQL, October 2021, section 6.4.4).
fn is_left_out(error: &ServerError, data: &Value) -> bool {
    match (error.path.first(), data) {
        (Some(PathSegment::Field(name)), Value::Object(fields)) => {
            !fields.contains_key(name.as_str())
        }
        _ => false,
    }
}

fn mask(error: &mut ServerError, extensions: &mut ErrorExtensionValues) {
    let id = RequestId::current();
    let id = id.as_str();
    tracing::error!(id, error = error.message, "request failed");
    error.message = format!("internal error {id}; the server's log says more");
    error.source = None;
    extensions.set("code", "INTERNAL");
    extensions.set("id", id);
}
