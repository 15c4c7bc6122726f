//! Executes one request, or finds its answer among those that were made before.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{ErrorExtensionValues, Request, Response, ServerError};
use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use marketlake_entities::Millis;
use marketlake_lake::{Lake, witnessed};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::document::{Shape, examine};
use super::envelope::Asked;
use super::meter::{points, tidy};
use super::persisted::Persisted;
use super::refusal::Refusal;
use crate::auth::{Gate, Scope, Session};
use crate::cache::{Answers, Key, Made, Weigh};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::limits::{Budget, Emptied, Rate, charge_rest};
use crate::schema::{self, Loaders, Schema};

const LONGEST_KEY: usize = 255;

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
    /// As many WebSockets and event streams as there may be at once.
    pub(crate) live: Arc<Semaphore>,
    most_batch: usize,
    persisted: Persisted,
    answers: Answers<Answer>,
}

/// What there is besides the request itself.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    method: Method,
    idempotency_key: IdempotencyKey,
}

/// The asker's own name for a request. In the request's data.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

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
    pub(super) answer: Arc<Answer>,
    pub(super) budget: Option<Budget>,
}

/// A request that was not executed.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) emptied: Option<Emptied>,
}

impl Refused {
    pub(super) fn of(refusal: Refusal) -> Self {
        Self {
            refusal,
            emptied: None,
        }
    }
}

/// A request that may be executed.
pub(super) struct Ready {
    pub(super) request: Request,
    pub(super) shape: Shape,
    pub(super) budget: Option<Budget>,
    question: String,
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

pub(crate) fn check_key(key: &[u8]) -> Option<String> {
    let fits = (1..=LONGEST_KEY).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(key).ok()?;
    fits.then(|| text.to_owned())
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
}

impl Endpoint {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            judge: schema::judge(),
            schema: parts.schema,
            lake: parts.lake,
            gate: parts.gate,
            rate: parts.rate,
            clock: parts.clock,
            stop: parts.stop,
            live: Arc::new(Semaphore::new(parts.most_live)),
            most_batch: parts.most_batch,
            persisted: Persisted::new(),
            answers: Answers::new("graphql", parts.cache_bytes),
        }
    }

    pub(super) fn most_batch(&self) -> usize {
        self.most_batch
    }

    /// Looks at a request, and takes the point that each costs.
    pub(super) async fn prepare(
        &self,
        asked: Asked,
        caller: &Caller,
        origin: &Origin,
    ) -> Result<Ready, Refused> {
        let budget = self.rate.charge(caller, 1).map_err(|emptied| Refused {
            refusal: Refusal::rate_limited(),
            emptied: Some(emptied),
        })?;
        let document = self
            .persisted
            .document(asked.query.clone(), &asked.extensions);
        let document = document.await.map_err(Refused::of)?;
        let name = asked.operation_name.as_deref().unwrap_or_default();
        let variables = serde_json::to_string(&asked.variables).unwrap_or_default();
        let question = format!("{name}\0{variables}\0{document}");
        let mut request = asked.into_request(document);
        let shape = examine(&mut request).map_err(Refused::of)?;
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
        Ok(Ready {
            request,
            shape,
            budget,
            question,
        })
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
        let budget = ready.budget;
        let version = self.lake.window().version();
        let kept = version.filter(|_| ready.shape.lasts && caller.grant.may(Scope::Read));
        let answer = match kept {
            None => Arc::new(self.execute(ready.request).await.0),
            Some(version) => {
                let key = Key {
                    version,
                    question: ready.question,
                };
                let make = async {
                    match self.execute(ready.request).await {
                        (answer, true) => Made::Lasting(answer),
                        (answer, false) => Made::Passing(answer),
                    }
                };
                self.answers.get(key, make).await
            }
        };
        let budget = charge_rest(&self.rate, caller, budget, answer.points - 1);
        Ok(Ran { answer, budget })
    }

    /// The answer, and whether it is free of errors.
    async fn execute(&self, mut request: Request) -> (Answer, bool) {
        let ((mut response, engines), points) = match points(&self.judge, &mut request).await {
            Ok(points) => (witnessed(self.schema.execute(request)).await, points),
            Err(wrong) => ((wrong, Vec::new()), 1),
        };
        tidy(&mut response);
        let is_ok = response.errors.is_empty();
        let answer = Answer {
            was_executed: was_executed(&response),
            head: head(&response),
            points,
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
        let permit = Arc::clone(&self.live).try_acquire_owned().map_err(|_| {
            let message = "as many streams are open as there may be; try again later";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Refused::of(Refusal::new(status, "OVERLOADED", message))
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
        let results = match points(&self.judge, &mut ready.request).await {
            Ok(points) => {
                charge_rest(&self.rate, caller, ready.budget, points - 1);
                self.schema.execute_stream(ready.request).left_stream()
            }
            Err(wrong) => stream::once(async { wrong }).right_stream(),
        };
        results.map(|mut response| {
            tidy(&mut response);
            response
        })
    }

    /// The whole body.
    pub(super) async fn body(&self, ran: &Ran) -> String {
        let now = self.clock.now(&self.lake).await;
        let cost = cost(ran.answer.points, ran.budget, now);
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

/// `extensions.cost`; who is not limited has nothing that remains.
fn cost(points: u32, budget: Option<Budget>, now: Option<Millis>) -> String {
    let whole = |reset: Duration| now.map(|now| now.plus(reset).to_string());
    let remaining = Value::from(budget.map(|budget| budget.remaining));
    let reset_at = Value::from(budget.and_then(|budget| whole(budget.reset)));
    format!("{{\"requested\":{points},\"remaining\":{remaining},\"resetAt\":{reset_at}}}")
}

/// A response as JSON; what was not executed has no data, not even null.
pub(super) fn to_json(response: &Response) -> String {
    let json = if was_executed(response) {
        serde_json::to_string(response)
    } else {
        serde_json::to_string(&response.errors).map(|errors| format!("{{\"errors\":{errors}}}"))
    };
    // Names, texts and numbers can always be written.
    json.unwrap_or_else(|_| "{\"data\":null}".to_owned())
}

/// The same without its last brace.
fn head(response: &Response) -> Bytes {
    let mut json = to_json(response).into_bytes();
    json.pop();
    json.into()
}

/// Whether a response is one of fields; else all that went wrong did so before.
pub(super) fn was_executed(response: &Response) -> bool {
    let has_no_data = response.data == async_graphql::Value::Null;
    !(response.is_err() && has_no_data && response.errors.iter().all(|e| e.path.is_empty()))
}
