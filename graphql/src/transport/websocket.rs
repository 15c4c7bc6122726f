//! `graphql-transport-ws` (the protocol of the npm package graphql-ws, version 5 and later):
//! queries, mutations and subscriptions over one WebSocket.
//!
//! A client that reads slowly delays no other: while a message waits for it, its subscriptions are
//! not polled, and only the newest of their skipped messages is kept. One that reads nothing for
//! half a minute is cut off.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Response as GraphQLResponse;
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use futures::stream::{AbortHandle, SelectAll, abortable};
use futures::{Stream, StreamExt, stream};
use marketlake_http::auth::error::AuthError;
use marketlake_http::auth::sessions::{Session, SessionEnd};
use marketlake_http::caller::Caller;
use marketlake_http::identification::FAILED_AUTH_POINTS;
use marketlake_http::problem::Problem;
use metrics::gauge;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, sleep_until, timeout};
use tracing::{Instrument, Span};

use super::body::{to_json, was_executed};
use super::envelope::GraphqlRequest;
use super::executor::Executor;
use super::request::RequestMeta;

const PROTOCOL: &str = "graphql-transport-ws";
/// Within which `connection_init` must come.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a message to the network.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
const PING_INTERVAL: Duration = Duration::from_secs(30);
const MAX_OPERATIONS: usize = 100;
const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// The default of 128 KiB each way would be most of what a connection costs.
const BUFFER_BYTES: usize = 2 << 10;

/// Close code and reason, as the protocol names them.
type Close = (u16, String);

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientMessage {
    ConnectionInit { payload: Option<Value> },
    Ping { payload: Option<Value> },
    Pong {},
    Subscribe { id: String, payload: Value },
    Complete { id: String },
}

/// Id and number of an operation, and its next result; `None` at its end.
type OperationResult = (String, u64, Option<GraphQLResponse>);
type Results = Pin<Box<dyn Stream<Item = OperationResult> + Send>>;

/// One client.
struct Connection {
    executor: Arc<Executor>,
    caller: Caller,
    session: Session,
    socket: WebSocket,
    is_acknowledged: bool,
    /// Operations by the client's ids, which it may use again: so each has a number of its own.
    open: HashMap<String, (u64, AbortHandle)>,
    begun: u64,
    results: SelectAll<Results>,
}

/// `GET /graphql/ws`. Pages of foreign origins do not come this far (`caller`).
pub(crate) async fn upgrade(
    State(executor): State<Arc<Executor>>,
    Extension(caller): Extension<Caller>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(permit) = executor.open_stream(&caller) else {
        return Problem::overloaded().into_response();
    };
    // The connection outlives its request, and keeps its span.
    let span = Span::current();
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| {
            let serve = async move {
                gauge!("marketlake_websocket_connections").increment(1);
                let connection = Connection {
                    session: executor.authenticator.session(&caller.permissions),
                    executor,
                    caller,
                    socket,
                    is_acknowledged: false,
                    open: HashMap::new(),
                    begun: 0,
                    results: SelectAll::new(),
                };
                connection.run().await;
                gauge!("marketlake_websocket_connections").decrement(1);
                drop(permit);
            };
            serve.instrument(span)
        })
}

impl Connection {
    async fn run(mut self) {
        let spoken = self.socket.protocol().is_some_and(|p| p == PROTOCOL);
        let end = if spoken {
            self.run_loop().await
        } else {
            Some((4406, "Subprotocol not acceptable".to_owned()))
        };
        if let Some((code, reason)) = end {
            // A reason is at most 123 bytes of a frame.
            let reason = reason.chars().take(120).collect::<String>().into();
            let close = Message::Close(Some(CloseFrame { code, reason }));
            let _ = timeout(SEND_TIMEOUT, self.socket.send(close)).await;
        }
    }

    /// Runs until the connection ends. Returns how to close it, where the client has not done so.
    async fn run_loop(&mut self) -> Option<Close> {
        let stop = self.executor.stop.clone();
        let deadline = Instant::now() + INIT_TIMEOUT;
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        let mut is_alive = true;
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    is_alive = true;
                    let text = match message {
                        None | Some(Err(_) | Ok(Message::Close(_))) => return None,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                        Some(Ok(Message::Text(text))) => text,
                        Some(Ok(Message::Binary(_))) => {
                            return Some((4400, "Invalid message: expected text".to_owned()));
                        }
                    };
                    if let Err(close) = self.handle_message(text.as_str()).await {
                        return close;
                    }
                }
                Some(told) = self.results.next(), if !self.results.is_empty() => {
                    if let Err(close) = self.send_result(told).await {
                        return close;
                    }
                }
                () = sleep_until(deadline), if !self.is_acknowledged => {
                    return Some((4408, "Connection initialisation timeout".to_owned()));
                }
                _ = ping.tick() => {
                    if !is_alive {
                        return None;
                    }
                    is_alive = false;
                    if let Err(close) = self.send(Message::Ping(Vec::new().into())).await {
                        return close;
                    }
                }
                ended = self.session.ended() => {
                    // Clients come again after the second of these, with a new token.
                    let code = match ended {
                        SessionEnd::Revoked => 4401,
                        SessionEnd::Expired => 4403,
                    };
                    return Some((code, ended.message().to_owned()));
                }
                () = stop.cancelled() => {
                    return Some((1001, "The server is stopping".to_owned()));
                }
            }
        }
    }

    async fn handle_message(&mut self, text: &str) -> Result<(), Option<Close>> {
        self.executor.charge_bytes(&self.caller, text.len());
        let said: ClientMessage = serde_json::from_str(text)
            .map_err(|error| (4400, format!("Invalid message: {error}")))?;
        match said {
            ClientMessage::ConnectionInit { .. } if self.is_acknowledged => {
                Err(Some((4429, "Too many initialisation requests".to_owned())))
            }
            ClientMessage::ConnectionInit { payload } => self.authenticate(payload).await,
            ClientMessage::Ping { payload } => {
                let mut pong = json!({"type": "pong"});
                if let Some(payload) = payload {
                    pong["payload"] = payload;
                }
                self.send_json(&pong).await
            }
            ClientMessage::Pong {} => Ok(()),
            ClientMessage::Subscribe { .. } if !self.is_acknowledged => {
                Err(Some((4401, "Unauthorized".to_owned())))
            }
            ClientMessage::Subscribe { id, payload } => self.start_operation(id, payload).await,
            ClientMessage::Complete { id } => {
                if let Some((_, handle)) = self.open.remove(&id) {
                    handle.abort();
                }
                Ok(())
            }
        }
    }

    /// A browser cannot set headers, so keys come in the first message too.
    async fn authenticate(&mut self, payload: Option<Value>) -> Result<(), Option<Close>> {
        let payload = payload.unwrap_or_default();
        let named = |name: &str| payload.get(name).and_then(Value::as_str).map(str::to_owned);
        let bearer = named("authorization").or_else(|| named("Authorization"));
        let key = named("apiKey").or_else(|| {
            bearer.map(|text| match text.split_once(' ') {
                Some((_, token)) => token.trim().to_owned(),
                None => text,
            })
        });
        if let Some(key) = key {
            match self.executor.authenticator.of_credential(&key).await {
                Ok(permissions) => {
                    self.session = self.executor.authenticator.session(&permissions);
                    self.caller.permissions = permissions;
                }
                Err(error) => return Err(Some(self.refused(error))),
            }
        }
        self.is_acknowledged = true;
        self.send_json(&json!({"type": "connection_ack"})).await
    }

    /// Close code for a key or token that is not valid, or cannot be checked.
    fn refused(&self, error: AuthError) -> Close {
        let (source, rate_limiter) = (&self.caller.source, &self.executor.rate_limiter);
        match error {
            AuthError::Refused(reason) => {
                match rate_limiter.charge_account(source, FAILED_AUTH_POINTS) {
                    Ok(_) => (4403, format!("Forbidden: {reason}")),
                    Err(_) => (1013, "Too many requests".to_owned()),
                }
            }
            AuthError::Busy => (1013, error.to_string()),
            AuthError::Unavailable(reason) => {
                tracing::error!(reason, "nobody can be let in");
                (1013, "Keys cannot be checked at the moment".to_owned())
            }
        }
    }

    async fn start_operation(&mut self, id: String, payload: Value) -> Result<(), Option<Close>> {
        if self.open.contains_key(&id) {
            return Err(Some((4409, format!("Subscriber for {id} already exists"))));
        }
        if self.open.len() >= MAX_OPERATIONS {
            let message = format!("expected at most {MAX_OPERATIONS} operations at once");
            let errors = json!([{"message": message, "extensions": {"code": "TOO_MANY"}}]);
            return self
                .send_json(&json!({"type": "error", "id": id, "payload": errors}))
                .await;
        }
        let request = match GraphqlRequest::of_value(payload) {
            Ok(request) => request,
            Err(error) => {
                return Err(Some((4400, format!("Invalid message: {}", error.message))));
            }
        };
        let results = results_of(Arc::clone(&self.executor), self.caller.clone(), request);
        match results.await {
            Ok(results) => {
                let (results, handle) = abortable(results);
                self.begun += 1;
                let number = self.begun;
                self.open.insert(id.clone(), (number, handle));
                let own = id.clone();
                let ended = stream::once(async move { (id, number, None) });
                let results = results.map(move |response| (own.clone(), number, Some(response)));
                self.results.push(Box::pin(results.chain(ended)));
                Ok(())
            }
            Err(errors) => {
                let message = json!({"type": "error", "id": id, "payload": errors});
                self.send_json(&message).await
            }
        }
    }

    /// Passes a result on; nothing of an operation that the client has ended.
    async fn send_result(
        &mut self,
        (id, number, result): OperationResult,
    ) -> Result<(), Option<Close>> {
        if self.open.get(&id).is_none_or(|(open, _)| *open != number) {
            return Ok(());
        }
        match result {
            Some(response) if was_executed(&response) => {
                let payload = to_json(&response, self.executor.max_bytes);
                self.executor.charge_bytes(&self.caller, payload.len());
                let id = Value::from(id);
                let message = format!("{{\"type\":\"next\",\"id\":{id},\"payload\":{payload}}}");
                self.send(Message::Text(message.into())).await
            }
            Some(response) => {
                self.open.remove(&id);
                let payload = serde_json::to_value(&response.errors).unwrap_or_default();
                self.send_json(&json!({"type": "error", "id": id, "payload": payload}))
                    .await
            }
            None => {
                self.open.remove(&id);
                self.send_json(&json!({"type": "complete", "id": id})).await
            }
        }
    }

    async fn send_json(&mut self, message: &Value) -> Result<(), Option<Close>> {
        self.send(Message::Text(message.to_string().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Option<Close>> {
        match timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }
}

/// Results of an operation, or the errors for which it is not started.
async fn results_of(
    executor: Arc<Executor>,
    caller: Caller,
    request: GraphqlRequest,
) -> Result<impl Stream<Item = GraphQLResponse> + Send, Value> {
    let meta = RequestMeta::of_socket();
    let ready = executor.prepare(request, &caller, &meta).await;
    let ready = ready.map_err(|wrong| wrong.error.errors())?;
    Ok(executor.results(ready, &caller).await)
}
