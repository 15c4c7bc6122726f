//! GraphQL requests and batches in bodies and query strings (GraphQL over HTTP, "Request
//! Parameters").

use async_graphql::{Request, Variables};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::request_error::RequestError;

/// A request as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GraphqlRequest {
    /// The document; none where it is one that was sent before.
    pub(super) query: Option<String>,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Map<String, Value>,
    pub(super) extensions: Map<String, Value>,
    /// Points that were taken for its bytes already.
    pub(super) points: u32,
}

/// A body: one request, or a batch.
#[derive(Debug)]
pub(super) enum Envelope {
    One(GraphqlRequest),
    Batch(Vec<GraphqlRequest>),
}

/// The parameters of an address.
#[derive(Deserialize)]
pub(crate) struct QueryParams {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl Envelope {
    /// Reads a body. Where there may be no batch, one is not read.
    pub(super) fn of_body(body: &[u8], max_batch: usize) -> Result<Self, RequestError> {
        if max_batch == 0 && body.trim_ascii_start().starts_with(b"[") {
            let message = "the body is a batch: expected one request";
            return Err(RequestError::bad_request(message));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| RequestError::bad_request(format!("the body is not JSON: {error}")))?;
        match value {
            Value::Array(items) if items.is_empty() => {
                let message = "the body is an empty batch: expected at least one request";
                Err(RequestError::bad_request(message))
            }
            Value::Array(items) => {
                let request = items.into_iter().map(GraphqlRequest::of_value);
                let request: Vec<GraphqlRequest> = request.collect::<Result<_, _>>()?;
                if request.len() > max_batch {
                    let message =
                        format!("the body is a batch: expected at most {max_batch} requests");
                    return Err(RequestError::bad_request(message));
                }
                Ok(Self::Batch(request))
            }
            value => GraphqlRequest::of_value(value).map(Self::One),
        }
    }
}

impl GraphqlRequest {
    pub(super) fn of_value(value: Value) -> Result<Self, RequestError> {
        let Value::Object(mut fields) = value else {
            let message = "the body is no GraphQL request: expected an object";
            return Err(RequestError::bad_request(message));
        };
        Ok(Self {
            query: text(&mut fields, "query")?,
            operation_name: text(&mut fields, "operationName")?,
            variables: map(&mut fields, "variables")?,
            extensions: map(&mut fields, "extensions")?,
            points: 0,
        })
    }

    /// Reads the parameters of an address.
    pub(super) fn from_query(address: QueryParams) -> Result<Self, RequestError> {
        let mut fields = Map::new();
        for (name, text) in [
            ("variables", address.variables),
            ("extensions", address.extensions),
        ] {
            let Some(text) = text.filter(|text| !text.is_empty()) else {
                continue;
            };
            let value = serde_json::from_str(&text)
                .map_err(|error| RequestError::bad_request(format!("{name}: not JSON: {error}")))?;
            fields.insert(name.to_owned(), value);
        }
        Ok(Self {
            query: address.query,
            operation_name: address.operation_name.filter(|name| !name.is_empty()),
            variables: map(&mut fields, "variables")?,
            extensions: map(&mut fields, "extensions")?,
            points: 0,
        })
    }

    /// Takes over what async-graphql has read. An empty query is none: it may be one that was sent
    /// before.
    pub(super) fn of_request(request: Request) -> Result<Self, RequestError> {
        let mut fields = Map::new();
        fields.insert("variables".to_owned(), json(&request.variables)?);
        fields.insert("extensions".to_owned(), json(&request.extensions)?);
        Ok(Self {
            query: Some(request.query).filter(|query| !query.is_empty()),
            operation_name: request.operation_name,
            variables: map(&mut fields, "variables")?,
            extensions: map(&mut fields, "extensions")?,
            points: 0,
        })
    }

    /// The request to be executed, of a document.
    pub(super) fn into_request(self, query: String) -> Request {
        let mut request = Request::new(query);
        request.operation_name = self.operation_name;
        request.variables(Variables::from_json(Value::Object(self.variables)))
    }
}

fn json(value: &impl serde::Serialize) -> Result<Value, RequestError> {
    serde_json::to_value(value).map_err(|error| RequestError::bad_request(error.to_string()))
}

fn text(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, RequestError> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(name, "a text", &other)),
    }
}

fn map(fields: &mut Map<String, Value>, name: &str) -> Result<Map<String, Value>, RequestError> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(other) => Err(wrong(name, "an object", &other)),
    }
}

fn wrong(name: &str, expected: &str, value: &Value) -> RequestError {
    let shown: String = value.to_string().chars().take(80).collect();
    RequestError::bad_request(format!("{name}: expected {expected}, got {shown}"))
}
