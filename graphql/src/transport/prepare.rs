//! Preparation of a request: finds, parses and analyzes its document, and charges its base cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::Request;
use async_graphql::parser::types::OperationType;
use axum::http::{Method, StatusCode};
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;
use marketlake_http::compute::run_blocking;
use marketlake_http::limits::rate_limiter::{Budget, charge_remainder};

use super::document::{DocumentStats, analyze};
use super::envelope::GraphqlRequest;
use super::executor::Executor;
use super::request::{PreparedRequest, Rejected, RequestMeta};
use super::request_error::RequestError;
use crate::schema::Loaders;

/// Timeout of a document that waits to be parsed.
const PARSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a document that is parsed within a fraction of a millisecond.
const SHORT_DOCUMENT_BYTES: usize = 4 << 10;
/// Bytes of a document that cost a point.
const DOCUMENT_BYTES_PER_POINT: usize = 4 << 10;

impl Executor {
    /// Looks at a request, and takes the point that each costs.
    pub(super) async fn prepare(
        &self,
        request: GraphqlRequest,
        caller: &Caller,
        meta: &RequestMeta,
    ) -> Result<PreparedRequest, Rejected> {
        let budget = self.take(caller, 1)?;
        let bytes = request.query.as_ref().map_or(0, String::len);
        let points = u32::try_from(bytes / DOCUMENT_BYTES_PER_POINT).unwrap_or(u32::MAX);
        let budget = charge_remainder(&self.rate_limiter, caller, budget, points);
        let points = request.points.saturating_add(points).saturating_add(1);
        let prepared = self.prepare_charged(request, caller, meta).await;
        let (request, stats, question) =
            prepared.map_err(|refused| Rejected { budget, ..refused })?;
        Ok(PreparedRequest {
            request,
            stats,
            budget,
            points,
            question,
        })
    }

    /// Takes points before the work that they are for.
    pub(super) fn take(&self, caller: &Caller, points: u32) -> Result<Option<Budget>, Rejected> {
        self.rate_limiter
            .charge(caller, points)
            .map_err(|rate_limited| Rejected {
                rate_limited: Some(rate_limited),
                ..Rejected::of(RequestError::rate_limited())
            })
    }

    async fn prepare_charged(
        &self,
        request: GraphqlRequest,
        caller: &Caller,
        meta: &RequestMeta,
    ) -> Result<(Request, DocumentStats, String), Rejected> {
        let document = self
            .persisted
            .document(request.query.clone(), &request.extensions);
        let document = document.await.map_err(Rejected::of)?;
        let document_bytes = document.len();
        let name = request.operation_name.as_deref().unwrap_or_default();
        let variables = serde_json::to_string(&request.variables).unwrap_or_default();
        let question = format!("{name}\0{variables}\0{document}");
        let request = request.into_request(document);
        let (request, stats) = self.analyze(request, document_bytes).await?;
        if stats.introspected > 0
            && let Err(denied) = caller.permissions.require(Scope::Read)
        {
            let error = RequestError::of_document(denied.code, denied.message);
            return Err(Rejected::of(error));
        }
        if meta.method == Method::GET && stats.operation == OperationType::Mutation {
            let message = "GET accepts queries only: use POST";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Err(Rejected::of(RequestError::new(
                status,
                "METHOD_NOT_ALLOWED",
                message,
            )));
        }
        let request = request
            .data(caller.clone())
            .data(meta.idempotency_key.clone())
            .data(Loaders::new(&self.lake));
        Ok((request, stats, question))
    }

    /// Parses a request's document; a long one on another thread than those that answer.
    async fn analyze(
        &self,
        mut request: Request,
        bytes: usize,
    ) -> Result<(Request, DocumentStats), Rejected> {
        if bytes <= SHORT_DOCUMENT_BYTES {
            let stats = self.analyzed.analyze(&self.model, &mut request).await;
            return Ok((request, stats.map_err(Rejected::of)?));
        }
        let model = Arc::clone(&self.model);
        let analyze = move || {
            let stats = analyze(&model, &mut request).map_err(Rejected::of)?;
            Ok((request, stats))
        };
        let deadline = Instant::now() + PARSE_TIMEOUT;
        let examined = run_blocking(deadline, analyze).await;
        examined
            .unwrap_or_else(|error| Err(Rejected::of(RequestError::overloaded(&error.to_string()))))
    }
}
