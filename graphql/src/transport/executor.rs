//! Execution of requests, behind the query cache.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{ErrorExtensionValues, Request, Response, ServerError};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use marketlake_http::auth::authenticator::Authenticator;
use marketlake_http::auth::scope::Scope;
use marketlake_http::auth::sessions::Session;
use marketlake_http::caller::Caller;
use marketlake_http::clock::RequestClock;
use marketlake_http::compute::measure_cost;
use marketlake_http::limits::rate_limiter::{
    Budget, RateLimiter, charge_completed, charge_remainder,
};
use marketlake_http::limits::response_size::{MaxBytes, points_for_bytes};
use marketlake_http::query_cache::{CacheKey, CacheWeight, Cacheable, QueryCache};
use marketlake_http::request_id::RequestId;
use marketlake_http::state::ApiContext;
use marketlake_lake::{Lake, record_engines};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::analyzed::AnalyzedDocuments;
use super::body::{cost, head, overloaded, was_executed};
use super::envelope::GraphqlRequest;
use super::introspection::Model;
use super::persisted::Persisted;
use super::request::{PreparedRequest, Rejected, RequestMeta};
use super::request_error::RequestError;
use super::streams::{OpenStream, Streams};
use crate::schema::complexity::{query_cost, sanitize_errors};
use crate::schema::{self, Schema};

/// Timeout of a query or mutation that comes as a stream; others have the time of a request.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Executes requests.
pub(crate) struct Executor {
    validation_schema: Schema,
    schema: Schema,
    pub(crate) lake: Arc<Lake>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) rate_limiter: Arc<RateLimiter>,
    pub(crate) clock: Arc<RequestClock>,
    /// Ends what would otherwise never end.
    pub(crate) stop: CancellationToken,
    pub(super) max_batch: usize,
    pub(super) persisted: Persisted,
    pub(super) analyzed: AnalyzedDocuments,
    answers: QueryCache<Answer>,
    pub(super) model: Arc<Model>,
    pub(super) max_bytes: MaxBytes,
    /// As many requests as may run at once; over a WebSocket they come by no other way.
    permits: Arc<Semaphore>,
    streams: Streams,
}

/// An answer, but for what it cost.
pub(super) struct Answer {
    /// A JSON object without its last brace.
    head: Bytes,
    points: u32,
    /// Engines that read the samples.
    engines: Vec<&'static str>,
    /// Else it was found wrong before.
    pub(super) was_executed: bool,
}

impl CacheWeight for Answer {
    fn body(&self) -> &Bytes {
        &self.head
    }
}

/// Result of a request.
pub(super) struct Executed {
    /// All that it cost, for its own bytes too.
    points: u32,
    pub(super) answer: Arc<Answer>,
    pub(super) budget: Option<Budget>,
}

impl Executor {
    pub(crate) fn new(context: &ApiContext) -> Self {
        let limits = context.options.limits;
        let schema = schema::build(context.state.clone());
        Self {
            model: Arc::new(Model::new(&schema)),
            max_bytes: MaxBytes(limits.max_response_bytes),
            permits: Arc::clone(&context.load_shedder.permits),
            streams: Streams::new(limits.max_streams, limits.max_streams_per_client),
            validation_schema: schema::validation_schema(),
            schema,
            lake: Arc::clone(&context.state.lake),
            authenticator: Arc::clone(&context.authenticator),
            rate_limiter: Arc::clone(&context.rate_limiter),
            clock: Arc::clone(&context.clock),
            stop: context.options.stop.clone(),
            max_batch: limits.max_batch,
            persisted: Persisted::new(),
            analyzed: AnalyzedDocuments::new(),
            answers: QueryCache::new("graphql", limits.cache_bytes),
        }
    }

    /// Counts a WebSocket or event stream that is open.
    pub(super) fn open_stream(&self, caller: &Caller) -> Option<OpenStream> {
        self.streams.open(caller.account())
    }

    /// Executes a query or a mutation.
    pub(super) async fn run(
        &self,
        request: GraphqlRequest,
        caller: &Caller,
        meta: &RequestMeta,
    ) -> Result<Executed, Rejected> {
        let ready = self.prepare(request, caller, meta).await?;
        if ready.stats.operation == OperationType::Subscription {
            let message = "expected a query or a mutation: subscriptions are answered as \
                text/event-stream, and over a WebSocket at /graphql/ws";
            return Err(Rejected::of(RequestError::bad_request(message)));
        }
        let (budget, introspected) = (ready.budget, ready.stats.introspected);
        let version = self.lake.recent_day().version();
        let kept = version.filter(|_| ready.stats.lasts && caller.permissions.allows(Scope::Read));
        let answer = match kept {
            None => Arc::new(self.execute(ready.request, introspected, caller).await.0),
            Some(version) => {
                let key = CacheKey {
                    version,
                    request: ready.question,
                };
                let make = async {
                    match self.execute(ready.request, introspected, caller).await {
                        (answer, true) => Cacheable::Yes(answer),
                        (answer, false) => Cacheable::No(answer),
                    }
                };
                self.answers.get(key, make).await
            }
        };
        let budget = charge_remainder(&self.rate_limiter, caller, budget, answer.points - 1);
        Ok(Executed {
            points: ready.points.saturating_add(answer.points - 1),
            answer,
            budget,
        })
    }

    /// The answer, and whether it is free of errors.
    async fn execute(
        &self,
        mut request: Request,
        introspected: usize,
        caller: &Caller,
    ) -> (Answer, bool) {
        let points = query_cost(&self.validation_schema, &mut request, introspected).await;
        let (mut response, engines, points) = match points {
            Ok(points) => {
                let executed = measure_cost(
                    caller.account(),
                    record_engines(self.schema.execute(request)),
                );
                let ((response, engines), extra) = executed.await;
                (response, engines, points.saturating_add(extra))
            }
            Err(wrong) => (wrong, Vec::new(), 1),
        };
        sanitize_errors(&mut response);
        let is_ok = response.errors.is_empty();
        let head = head(&response, self.max_bytes);
        let answer = Answer {
            was_executed: was_executed(&response),
            points: points.saturating_add(points_for_bytes(head.len() as u64)),
            head,
            engines,
        };
        (answer, is_ok)
    }

    /// Results of a request over HTTP until it ends or the server stops. Counts as an open stream.
    pub(super) async fn stream(
        &self,
        request: GraphqlRequest,
        caller: &Caller,
        meta: &RequestMeta,
    ) -> Result<impl Stream<Item = Response> + Send + use<>, Rejected> {
        let ready = self.prepare(request, caller, meta).await?;
        let permit = self.open_stream(caller).ok_or_else(|| {
            let message = "the maximum number of open streams is reached; try again later";
            Rejected::of(RequestError::overloaded(message))
        })?;
        let results = self.results(ready, caller).await;
        let results = results.map(move |response| {
            // CachedResponse for as long as the stream is.
            let _ = &permit;
            response
        });
        let results = results.take_until(self.stop.clone().cancelled_owned());
        Ok(until_ended(
            results,
            self.authenticator.session(&caller.permissions),
        ))
    }

    /// Results of a request until it ends; one response where it is invalid.
    pub(super) async fn results(
        &self,
        mut ready: PreparedRequest,
        caller: &Caller,
    ) -> impl Stream<Item = Response> + Send + use<> {
        let introspected = ready.stats.introspected;
        let results =
            match query_cost(&self.validation_schema, &mut ready.request, introspected).await {
                Ok(points) => {
                    charge_remainder(&self.rate_limiter, caller, ready.budget, points - 1);
                    if ready.stats.operation == OperationType::Subscription {
                        let results = self.schema.execute_stream(ready.request);
                        results.left_stream().left_stream()
                    } else {
                        stream::once(self.run_apart(ready.request, caller))
                            .right_stream()
                            .left_stream()
                    }
                }
                Err(wrong) => stream::once(async { wrong }).right_stream(),
            };
        results.map(|mut response| {
            sanitize_errors(&mut response);
            response
        })
    }

    /// Executes what ends by itself in a task of its own, under a permit like any other request: it
    /// goes on while its client reads something else.
    fn run_apart(
        &self,
        request: Request,
        caller: &Caller,
    ) -> impl Future<Output = Response> + Send + use<> {
        let (schema, permits) = (self.schema.clone(), Arc::clone(&self.permits));
        let (rate_limiter, caller) = (Arc::clone(&self.rate_limiter), caller.clone());
        async move {
            let Ok(permit) = permits.try_acquire_owned() else {
                return overloaded();
            };
            let execution = async move {
                let _permit = permit;
                let executed = timeout(QUERY_TIMEOUT, schema.execute(request));
                let (response, extra) = measure_cost(caller.account(), executed).await;
                charge_completed(&rate_limiter, &caller, extra);
                response
            };
            match spawn(RequestId::inherit(execution).in_current_span()).await {
                Ok(Ok(response)) => response,
                Ok(Err(_)) | Err(_) => overloaded(),
            }
        }
    }

    /// Charges for the bytes of a result whose other points are charged.
    pub(super) fn charge_bytes(&self, caller: &Caller, bytes: usize) {
        charge_completed(&self.rate_limiter, caller, points_for_bytes(bytes as u64));
    }

    /// The whole body.
    pub(super) async fn body(&self, ran: &Executed) -> Vec<u8> {
        let now = self.clock.now_within_timeout(&self.lake).await;
        let cost = cost(ran.points, ran.budget, now);
        let engines = match &ran.answer.engines[..] {
            [] => String::new(),
            engines => format!(",\"engines\":{}", Value::from(engines)),
        };
        let tail = format!(",\"extensions\":{{\"cost\":{cost}{engines}}}}}");
        [&ran.answer.head, tail.as_bytes()].concat()
    }
}

/// A stream until its key or token is no longer valid, which is the last that it says.
fn until_ended(
    results: impl Stream<Item = Response> + Send + 'static,
    session: Session,
) -> impl Stream<Item = Response> + Send {
    let state = Some((Box::pin(results), session));
    stream::unfold(state, |state| async move {
        let (mut results, session) = state?;
        tokio::select! {
            next = results.next() => next.map(|next| (next, Some((results, session)))),
            ended = session.ended() => {
                let mut error = ServerError::new(ended.message(), None);
                let mut extensions = ErrorExtensionValues::default();
                extensions.set("code", "UNAUTHENTICATED");
                error.extensions = Some(extensions);
                Some((Response::from_errors(vec![error]), None))
            }
        }
    })
}
