//! Executes one request, or finds its answer among those that were made before.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{ErrorExtensionValues, Request, Response, ServerError};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use marketlake_lake::{Lake, record_engines};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::body::{cost, head, overloaded, was_executed};
use super::envelope::Asked;
use super::introspection::Model;
use super::meter::{points, tidy};
use super::persisted::Persisted;
use super::prepare::{Origin, Ready, Refused};
use super::refusal::Refusal;
use super::streams::{OpenStream, Streams};
use crate::auth::{Gate, Scope, Session};
use crate::cache::{Answers, Key, Made, Weigh};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::compute::counted;
use crate::limits::{Budget, MaxBytes, Rate, charge_all, charge_rest, points_of_bytes};
use crate::schema::{self, Schema};

/// Of a query or mutation that comes as a stream; others have the time of a request.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a request needs to be executed.
pub(crate) struct Endpoint {
    judge: Schema,
    schema: Schema,
    pub(crate) lake: Arc<Lake>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) rate: Arc<Rate>,
    pub(crate) clock: Arc<Clock>,
    /// Ends what would else go on for ever.
    pub(crate) stop: CancellationToken,
    pub(super) most_batch: usize,
    pub(super) persisted: Persisted,
    answers: Answers<Answer>,
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
    /// Who answered what it asked of samples.
    engines: Vec<&'static str>,
    /// Else it was found wrong before.
    pub(super) was_executed: bool,
}

impl Weigh for Answer {
    fn body(&self) -> &Bytes {
        &self.head
    }
}

/// What came of a request.
pub(super) struct Ran {
    /// All that it cost, for its own bytes too.
    points: u32,
    pub(super) answer: Arc<Answer>,
    pub(super) budget: Option<Budget>,
}

/// What an endpoint is made of.
pub(crate) struct Parts {
    pub(crate) schema: Schema,
    pub(crate) lake: Arc<Lake>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) rate: Arc<Rate>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) stop: CancellationToken,
    /// Requests of a batch; 0: there are no batches.
    pub(crate) most_batch: usize,
    /// WebSockets and event streams at once.
    pub(crate) most_live: usize,
    pub(crate) cache_bytes: u64,
    pub(crate) max_response_bytes: usize,
    pub(crate) max_streams_per_client: usize,
    pub(crate) permits: Arc<Semaphore>,
}

impl Endpoint {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            model: Arc::new(Model::new(&parts.schema)),
            max_bytes: MaxBytes(parts.max_response_bytes),
            permits: parts.permits,
            streams: Streams::new(parts.most_live, parts.max_streams_per_client),
            judge: schema::judge(),
            schema: parts.schema,
            lake: parts.lake,
            gate: parts.gate,
            rate: parts.rate,
            clock: parts.clock,
            stop: parts.stop,
            most_batch: parts.most_batch,
            persisted: Persisted::new(),
            answers: Answers::new("graphql", parts.cache_bytes),
        }
    }

    /// Counts a WebSocket or event stream that is open.
    pub(super) fn open_stream(&self, caller: &Caller) -> Option<OpenStream> {
        self.streams.open(caller.account())
    }

    /// Executes a query or a mutation.
    pub(super) async fn run(
        &self,
        asked: Asked,
        caller: &Caller,
        origin: &Origin,
    ) -> Result<Ran, Refused> {
        let ready = self.prepare(asked, caller, origin).await?;
        if ready.shape.operation == OperationType::Subscription {
            let message = "expected a query or a mutation: subscriptions are answered as text/event-stream, and over a WebSocket at /graphql/ws";
            return Err(Refused::of(Refusal::bad_request(message)));
        }
        let (budget, introspected) = (ready.budget, ready.shape.introspected);
        let version = self.lake.recent_day().version();
        let kept = version.filter(|_| ready.shape.lasts && caller.grant.may(Scope::Read));
        let answer = match kept {
            None => Arc::new(self.execute(ready.request, introspected, caller).await.0),
            Some(version) => {
                let key = Key {
                    version,
                    question: ready.question,
                };
                let make = async {
                    match self.execute(ready.request, introspected, caller).await {
                        (answer, true) => Made::Lasting(answer),
                        (answer, false) => Made::Passing(answer),
                    }
                };
                self.answers.get(key, make).await
            }
        };
        let budget = charge_rest(&self.rate, caller, budget, answer.points - 1);
        Ok(Ran {
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
        let points = points(&self.judge, &mut request, introspected).await;
        let (mut response, engines, points) = match points {
            Ok(points) => {
                let executed = counted(
                    caller.account(),
                    record_engines(self.schema.execute(request)),
                );
                let ((response, engines), extra) = executed.await;
                (response, engines, points.saturating_add(extra))
            }
            Err(wrong) => (wrong, Vec::new(), 1),
        };
        tidy(&mut response);
        let is_ok = response.errors.is_empty();
        let head = head(&response, self.max_bytes);
        let answer = Answer {
            was_executed: was_executed(&response),
            points: points.saturating_add(points_of_bytes(head.len() as u64)),
            head,
            engines,
        };
        (answer, is_ok)
    }

    /// What a request says over HTTP until it ends or the server stops: one of as many streams as may be open at once.
    pub(super) async fn stream(
        &self,
        asked: Asked,
        caller: &Caller,
        origin: &Origin,
    ) -> Result<impl Stream<Item = Response> + Send + use<>, Refused> {
        let ready = self.prepare(asked, caller, origin).await?;
        let permit = self.open_stream(caller).ok_or_else(|| {
            let message = "as many streams are open as there may be; try again later";
            Refused::of(Refusal::overloaded(message))
        })?;
        let results = self.results(ready, caller).await;
        let results = results.map(move |response| {
            // Kept for as long as the stream is.
            let _ = &permit;
            response
        });
        let results = results.take_until(self.stop.clone().cancelled_owned());
        Ok(until_ended(results, self.gate.session(&caller.grant)))
    }

    /// What a request says, one by one, for as long as it goes on; one response where it is wrong.
    pub(super) async fn results(
        &self,
        mut ready: Ready,
        caller: &Caller,
    ) -> impl Stream<Item = Response> + Send + use<> {
        let introspected = ready.shape.introspected;
        let results = match points(&self.judge, &mut ready.request, introspected).await {
            Ok(points) => {
                charge_rest(&self.rate, caller, ready.budget, points - 1);
                if ready.shape.operation == OperationType::Subscription {
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
            tidy(&mut response);
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
        let (rate, caller) = (Arc::clone(&self.rate), caller.clone());
        async move {
            let Ok(permit) = permits.try_acquire_owned() else {
                return overloaded();
            };
            let task = spawn(async move {
                let _permit = permit;
                let executed = timeout(QUERY_TIMEOUT, schema.execute(request));
                let (response, extra) = counted(caller.account(), executed).await;
                charge_all(&rate, &caller, extra);
                response
            });
            match task.await {
                Ok(Ok(response)) => response,
                Ok(Err(_)) | Err(_) => overloaded(),
            }
        }
    }

    /// Charges for the bytes of a result whose other points are charged.
    pub(super) fn charge_bytes(&self, caller: &Caller, bytes: usize) {
        charge_all(&self.rate, caller, points_of_bytes(bytes as u64));
    }

    /// The whole body.
    pub(super) async fn body(&self, ran: &Ran) -> String {
        let now = self.clock.mention(&self.lake).await;
        let cost = cost(ran.points, ran.budget, now);
        // What was serialised is UTF-8.
        let head = String::from_utf8_lossy(&ran.answer.head);
        let engines = match &ran.answer.engines[..] {
            [] => String::new(),
            engines => format!(",\"engines\":{}", Value::from(engines)),
        };
        format!("{head},\"extensions\":{{\"cost\":{cost}{engines}}}}}")
    }
}

/// A stream until its key or token is no longer good, which is the last that it says.
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
