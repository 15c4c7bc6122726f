//! A request on its way to be executed: its document is found, parsed and looked at, and what it
//! costs by itself is charged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::Request;
use async_graphql::parser::types::OperationType;
use axum::http::{HeaderMap, Method, StatusCode};

use super::document::{Shape, examine};
use super::envelope::Asked;
use super::idempotency::{IdempotencyKey, LONGEST_KEY, check_key};
use super::refusal::Refusal;
use super::run::Endpoint;
use crate::auth::Scope;
use crate::caller::Caller;
use crate::compute::compute;
use crate::limits::{Budget, Emptied, charge_rest};
use crate::schema::Loaders;

/// Of a document that waits to be parsed.
const PARSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a document that is parsed within a fraction of a millisecond.
const SHORT_DOCUMENT_BYTES: usize = 4 << 10;
/// Bytes of a document that cost a point.
const DOCUMENT_BYTES_PER_POINT: usize = 4 << 10;

/// What there is besides the request itself.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    method: Method,
    idempotency_key: IdempotencyKey,
}

/// A request that was not executed.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) emptied: Option<Emptied>,
    /// What is left, where points were taken.
    pub(super) budget: Option<Budget>,
}

impl Refused {
    pub(super) fn of(refusal: Refusal) -> Self {
        Self {
            refusal,
            emptied: None,
            budget: None,
        }
    }

    /// The same after points were taken.
    pub(super) fn charged(refusal: Refusal, budget: Option<Budget>) -> Self {
        Self {
            budget,
            ..Self::of(refusal)
        }
    }
}

/// A request that may be executed.
pub(super) struct Ready {
    pub(super) request: Request,
    pub(super) shape: Shape,
    pub(super) budget: Option<Budget>,
    /// What it costs by itself.
    pub(super) points: u32,
    pub(super) question: String,
}

impl Origin {
    pub(super) fn of(method: Method, headers: &HeaderMap) -> Result<Self, Refusal> {
        let key = match headers.get("idempotency-key") {
            None => None,
            Some(value) => Some(check_key(value.as_bytes()).ok_or_else(|| {
                let message = format!(
                    "Idempotency-Key: expected 1 to {LONGEST_KEY} visible characters of ASCII"
                );
                Refusal::bad_request(message)
            })?),
        };
        Ok(Self {
            method,
            idempotency_key: IdempotencyKey(key),
        })
    }

    /// Over a WebSocket, which a foreign page cannot open.
    pub(super) fn of_socket() -> Self {
        Self {
            method: Method::POST,
            idempotency_key: IdempotencyKey(None),
        }
    }
}

impl Endpoint {
    /// Looks at a request, and takes the point that each costs.
    pub(super) async fn prepare(
        &self,
        asked: Asked,
        caller: &Caller,
        origin: &Origin,
    ) -> Result<Ready, Refused> {
        let budget = self.take(caller, 1)?;
        let bytes = asked.query.as_ref().map_or(0, String::len);
        let points = u32::try_from(bytes / DOCUMENT_BYTES_PER_POINT).unwrap_or(u32::MAX);
        let budget = charge_rest(&self.rate, caller, budget, points);
        let points = asked.points.saturating_add(points).saturating_add(1);
        let prepared = self.prepare_charged(asked, caller, origin).await;
        let (request, shape, question) =
            prepared.map_err(|refused| Refused { budget, ..refused })?;
        Ok(Ready {
            request,
            shape,
            budget,
            points,
            question,
        })
    }

    /// Takes points before the work that they are for.
    pub(super) fn take(&self, caller: &Caller, points: u32) -> Result<Option<Budget>, Refused> {
        self.rate.charge(caller, points).map_err(|emptied| Refused {
            emptied: Some(emptied),
            ..Refused::of(Refusal::rate_limited())
        })
    }

    async fn prepare_charged(
        &self,
        asked: Asked,
        caller: &Caller,
        origin: &Origin,
    ) -> Result<(Request, Shape, String), Refused> {
        let document = self
            .persisted
            .document(asked.query.clone(), &asked.extensions);
        let document = document.await.map_err(Refused::of)?;
        let document_bytes = document.len();
        let name = asked.operation_name.as_deref().unwrap_or_default();
        let variables = serde_json::to_string(&asked.variables).unwrap_or_default();
        let question = format!("{name}\0{variables}\0{document}");
        let request = asked.into_request(document);
        let (request, shape) = self.examine(request, document_bytes).await?;
        if shape.introspected > 0
            && let Some((code, message)) = caller.grant.refusal(Scope::Read)
        {
            return Err(Refused::of(Refusal::of_document(code, message)));
        }
        if origin.method == Method::GET && shape.operation == OperationType::Mutation {
            let message = "by GET only queries are answered: use POST";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Err(Refused::of(Refusal::new(
                status,
                "METHOD_NOT_ALLOWED",
                message,
            )));
        }
        let request = request
            .data(caller.clone())
            .data(origin.idempotency_key.clone())
            .data(Loaders::new(&self.lake));
        Ok((request, shape, question))
    }

    /// Parses a request's document; a long one on another thread than those that answer.
    async fn examine(
        &self,
        mut request: Request,
        bytes: usize,
    ) -> Result<(Request, Shape), Refused> {
        let model = Arc::clone(&self.model);
        let examine = move || {
            let shape = examine(&model, &mut request).map_err(Refused::of)?;
            Ok((request, shape))
        };
        if bytes <= SHORT_DOCUMENT_BYTES {
            return examine();
        }
        let deadline = Instant::now() + PARSE_TIMEOUT;
        let examined = compute(deadline, examine).await;
        examined.unwrap_or_else(|error| Err(Refused::of(Refusal::overloaded(&error.to_string()))))
    }
}
