//! One WebSocket of an exchange: connects, subscribes, reads events into the minute book, and ends
//! when it is dead, old, or no longer wanted.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use marketlake_common::redact_url;
use marketlake_model::Millis;
use reqwest::header::USER_AGENT;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::sync::CancellationToken;

use super::error::StreamError;
use super::minute_book::{EventOutcome, MinuteBook};
use super::protocol::{StreamEvent, StreamLimits};
use super::shared::Shared;
use super::subscriptions::Subscriptions;
use crate::poll::retry_after;

/// Largest message that is read. The largest known one is below 1 MiB.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Bytes that wait to be written.
const MAX_WRITE_BYTES: usize = 1 << 20;
/// Characters of a handshake's body that go into errors.
const MAX_BODY_CHARS: usize = 200;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// State of a connection, as its keeper sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// It connects and subscribes.
    Connecting,
    /// All symbols that the exchange accepts are subscribed.
    Live,
    /// It is live and shall be replaced, for a reason.
    Leaving(String),
}

/// A connection before it is made.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) session: u64,
    pub(super) symbols: watch::Receiver<Arc<Vec<String>>>,
    pub(super) state: watch::Sender<ConnectionState>,
    pub(super) stop: CancellationToken,
}

/// A connection that is open.
struct Open {
    connection: Connection,
    socket: Socket,
    limits: StreamLimits,
    subscriptions: Subscriptions,
    /// Age at which it is replaced, with jitter: not all at once.
    old_at: Instant,
    /// Last event or heartbeat.
    last_sign: Instant,
    /// Last trade or candle.
    last_data: Instant,
    last_request: Instant,
    retry_at: Instant,
    /// Announcement of the exchange that it will end the connection.
    ending: Option<String>,
}

impl Connection {
    /// Runs until it ends: `Ok` where it was told to stop.
    pub(super) async fn run(mut self) -> Result<(), StreamError> {
        let shared = Arc::clone(&self.shared);
        let session = self.session;
        let limits = shared.limits();
        let symbols = Arc::clone(&self.symbols.borrow_and_update());
        let socket = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            socket = connect(&shared) => socket?,
        };
        let now = Instant::now();
        let jitter = rand::random_range(0.9..1.0);
        let mut open = Open {
            subscriptions: Subscriptions::new(
                shared.protocol,
                limits.symbols_per_request,
                &symbols,
            ),
            connection: self,
            socket,
            limits,
            old_at: now + limits.max_age.mul_f64(jitter),
            last_sign: now,
            last_data: now,
            last_request: now,
            retry_at: now + shared.timings.retry_interval,
            ending: None,
        };
        let _session = Session {
            shared,
            id: session,
        };
        open.serve().await
    }
}

/// A session, which ends with its task however that ends.
struct Session {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.book.lock().end(self.id);
    }
}

/// Connects, with the handshakes.
async fn connect(shared: &Shared) -> Result<Socket, StreamError> {
    let url = redact_url(shared.stream_url.as_str());
    let failed = |source: tungstenite::Error| failed(&url, source);
    let mut request = shared
        .stream_url
        .as_str()
        .into_client_request()
        .map_err(failed)?;
    request
        .headers_mut()
        .insert(USER_AGENT, shared.user_agent.clone());
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        // Pongs to an exchange that reads none of them.
        .max_write_buffer_size(MAX_WRITE_BYTES);
    let limit = shared.timings.connect_timeout;
    match timeout(
        limit,
        connect_async_with_config(request, Some(config), true),
    )
    .await
    {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(StreamError::Timeout {
            what: "the handshake",
            limit,
        }),
    }
}

/// Error of a connection; an HTTP answer to the handshake is a status.
fn failed(url: &str, source: tungstenite::Error) -> StreamError {
    let url = url.to_owned();
    let tungstenite::Error::Http(response) = source else {
        let source = Box::new(source);
        return StreamError::Connection { url, source };
    };
    let status = response.status();
    let body = response.body().as_deref().unwrap_or_default();
    let is_limited = matches!(status.as_u16(), 418 | 429);
    StreamError::Status {
        url,
        status: status.as_u16(),
        message: String::from_utf8_lossy(body)
            .chars()
            .take(MAX_BODY_CHARS)
            .collect(),
        pause: is_limited.then(|| retry_after::pause(status, response.headers())),
    }
}

impl Open {
    async fn serve(&mut self) -> Result<(), StreamError> {
        let mut requests = every(self.limits.request_interval);
        let keepalive = self.connection.shared.protocol.keepalive();
        let mut keepalives = every(keepalive.map_or(Duration::MAX, |keepalive| keepalive.interval));
        // The first tick comes at once.
        keepalives.reset();
        let stop = self.connection.stop.clone();
        loop {
            let timings = self.connection.shared.timings;
            let idle = self.last_sign + self.limits.idle_timeout;
            let settled = self.last_request + timings.subscribe_timeout;
            let is_live = self.is_live();
            tokio::select! {
                () = stop.cancelled() => return self.close().await,
                message = self.socket.next() => self.receive(message)?,
                _ = requests.tick(), if self.subscriptions.has_messages() => {
                    self.send_request().await?;
                }
                _ = keepalives.tick(), if keepalive.is_some() => {
                    let text = keepalive.map_or("", |keepalive| keepalive.message);
                    self.send(Message::text(text)).await?;
                }
                () = sleep_until(idle) => {
                    return Err(StreamError::Idle { limit: self.limits.idle_timeout });
                }
                () = sleep_until(settled), if self.is_connecting()
                    && !self.subscriptions.has_messages() => self.go_live()?,
                () = sleep_until(self.old_at), if is_live => self.leave("it is old"),
                () = sleep_until(self.last_data + timings.data_timeout), if is_live => {
                    self.leave("no trade comes");
                }
                () = sleep_until(self.retry_at), if is_live => self.retry(),
                changed = self.connection.symbols.changed(), if is_live => match changed {
                    Ok(()) => self.leave("the list of pairs changed"),
                    Err(_) => return self.close().await,
                },
            }
            if self.is_connecting() && self.subscriptions.is_settled() {
                self.go_live()?;
            }
            if self.is_live()
                && let Some(reason) = self.ending.take()
            {
                self.leave(&reason);
            }
        }
    }

    fn is_connecting(&self) -> bool {
        *self.connection.state.borrow() == ConnectionState::Connecting
    }

    fn is_live(&self) -> bool {
        *self.connection.state.borrow() == ConnectionState::Live
    }

    /// Wants to be replaced; it goes on until then.
    fn leave(&self, reason: &str) {
        let state = ConnectionState::Leaving(reason.to_owned());
        self.connection.state.send_replace(state);
    }

    /// Ends the time of subscribing: some symbols at least are acknowledged.
    fn go_live(&mut self) -> Result<(), StreamError> {
        let shared = &self.connection.shared;
        let (count, missing) = (
            self.subscriptions.acknowledged(),
            self.subscriptions.missing(),
        );
        if count == 0 && missing > 0 {
            return Err(StreamError::NotSubscribed {
                count: missing,
                reason: self.subscriptions.reason(),
            });
        }
        if missing > 0 {
            tracing::warn!(
                feed = shared.name(),
                symbols = missing,
                reason = shared.clean(&self.subscriptions.reason()),
                "symbols are not subscribed"
            );
        }
        tracing::info!(feed = shared.name(), symbols = count, "stream connected");
        self.connection.state.send_replace(ConnectionState::Live);
        shared.fetch_prices(self.connection.session);
        Ok(())
    }

    /// Requests again what the exchange refused, or did not answer.
    fn retry(&mut self) {
        let shared = &self.connection.shared;
        self.retry_at = Instant::now() + shared.timings.retry_interval;
        self.subscriptions.retry();
        shared.fetch_prices(self.connection.session);
    }

    async fn send_request(&mut self) -> Result<(), StreamError> {
        if let Some(message) = self.subscriptions.next_message() {
            self.send(Message::text(message)).await?;
            self.last_request = Instant::now();
        }
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), StreamError> {
        let shared = &self.connection.shared;
        let limit = shared.timings.connect_timeout;
        match timeout(limit, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(&redact_url(shared.stream_url.as_str()), error)),
            Err(_) => Err(StreamError::Timeout {
                what: "a write",
                limit,
            }),
        }
    }

    fn receive(
        &mut self,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<(), StreamError> {
        let closed = |reason: String| Err(StreamError::Closed { reason });
        match message {
            None => closed(String::new()),
            Some(Err(error)) => {
                let url = redact_url(self.connection.shared.stream_url.as_str());
                Err(failed(&url, error))
            }
            Some(Ok(Message::Text(text))) => {
                self.take(&text);
                Ok(())
            }
            Some(Ok(Message::Binary(bytes))) => {
                let reason = format!("expected text, got {} bytes of binary data", bytes.len());
                let session = self.connection.session;
                self.connection.shared.reject(session, "message", &reason);
                Ok(())
            }
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| format!("{} {}", frame.code, frame.reason));
                closed(reason.unwrap_or_default())
            }
            // A ping is answered by the library. It says nothing about data.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
        }
    }

    fn take(&mut self, text: &Utf8Bytes) {
        let shared = Arc::clone(&self.connection.shared);
        let mut events = Vec::new();
        if let Err(reason) = shared.protocol.parse(text, &mut events) {
            let entry: String = text.chars().take(100).collect();
            shared.reject(self.connection.session, &entry, &reason);
            return;
        }
        let arrival = shared.now();
        let mut book = shared.book.lock();
        for event in &events {
            self.take_event(&shared, &mut book, event, arrival);
        }
    }

    fn take_event(
        &mut self,
        shared: &Shared,
        book: &mut MinuteBook,
        event: &StreamEvent<'_>,
        arrival: Millis,
    ) {
        let session = self.connection.session;
        match event {
            StreamEvent::Subscribed { symbol } => {
                if self.subscriptions.accept(symbol) {
                    book.subscribe(session, symbol);
                }
            }
            StreamEvent::RequestAccepted { id } => {
                for symbol in self.subscriptions.accept_request(*id) {
                    book.subscribe(session, &symbol);
                }
            }
            StreamEvent::Refused { symbol, id, reason } => {
                self.subscriptions.refuse(symbol.as_deref(), *id, reason);
                book.refuse(symbol.as_deref());
            }
            StreamEvent::Heartbeat { .. } => self.last_sign = Instant::now(),
            StreamEvent::Ending { reason } => {
                let reason: String = reason.chars().take(MAX_BODY_CHARS).collect();
                self.ending = Some(format!("the exchange announces its end: {reason}"));
            }
            StreamEvent::Other { kind } => shared.count_other(kind),
            StreamEvent::Trade { .. }
            | StreamEvent::Candle { .. }
            | StreamEvent::LastPrice { .. }
            | StreamEvent::Invalid { .. } => {
                let outcome = book.take(session, event, arrival);
                shared.count(outcome);
                if outcome != EventOutcome::Rejected {
                    self.last_sign = Instant::now();
                    self.last_data = self.last_sign;
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), StreamError> {
        // A courtesy: the exchange may be gone.
        let limit = Duration::from_secs(1);
        let _ = timeout(limit, self.socket.close(None)).await;
        Ok(())
    }
}

/// Ticks that wait for one another.
fn every(period: Duration) -> Interval {
    // Far enough, and no overflow of the clock.
    let longest = Duration::from_secs(30 * 86_400);
    let mut ticks = interval(period.clamp(Duration::from_millis(1), longest));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
