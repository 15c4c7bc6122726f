//! Server of [`StreamExchange`](super::stream_exchange::StreamExchange): serves its WebSockets, and
//! records what their clients send.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::TIMEOUT;
use super::stream_exchange::{Acknowledge, Script, Step};

/// State that the connections of an exchange share.
pub struct Shared {
    pub state: Mutex<State>,
    changes: watch::Sender<()>,
}

pub struct State {
    scripts: Vec<Script>,
    /// TCP connections, refused ones included.
    pub attempts: usize,
    pub connections: Vec<Connection>,
    /// `opened`, `heard` and `closed`, each with the number of a connection.
    pub log: Vec<(&'static str, usize)>,
    pub pings: u64,
}

pub struct Connection {
    pub user_agent: String,
    outgoing: UnboundedSender<Outgoing>,
    pub messages: Vec<(Instant, String)>,
    /// Number of the last ping of ours that was answered.
    pub answered: u64,
    pub is_open: bool,
    /// Whether the client has sent a Close frame.
    pub is_polite: bool,
}

enum Outgoing {
    Message(Message),
    DropTcp,
}

impl Shared {
    pub fn new(scripts: Vec<Script>) -> Self {
        let state = State {
            scripts,
            attempts: 0,
            connections: Vec::new(),
            log: Vec::new(),
            pings: 0,
        };
        Self {
            state: Mutex::new(state),
            changes: watch::Sender::new(()),
        }
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().unwrap());
        self.changes.send_replace(());
        changed
    }

    /// Waits until `probe` gives something; fails the test where it never does.
    pub async fn until<T>(&self, what: &str, probe: impl Fn(&State) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        let found = async {
            loop {
                let found = probe(&self.state.lock().unwrap());
                if let Some(found) = found {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        match timeout(TIMEOUT, found).await {
            Ok(found) => found,
            Err(_) => panic!("waited {} s in vain for {what}", TIMEOUT.as_secs()),
        }
    }

    /// Sends a message to a connection, if it is open; returns whether it is.
    pub fn push(&self, number: usize, message: Message) -> bool {
        let state = self.state.lock().unwrap();
        let outgoing = &state.connections[number].outgoing;
        outgoing.send(Outgoing::Message(message)).is_ok()
    }
}

pub async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        // Small answers wait 40 ms each otherwise.
        let _ = socket.set_nodelay(true);
        let script = shared.change(|state| {
            let index = state.attempts.min(state.scripts.len() - 1);
            state.attempts += 1;
            state.scripts[index].clone()
        });
        tokio::spawn(serve(Arc::clone(&shared), socket, script));
    }
}

/// Answer to the request for an upgrade.
struct Upgrade<'a> {
    refusal: Option<(u16, Option<&'static str>)>,
    user_agent: &'a mut String,
}

impl Callback for Upgrade<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        if let Some(agent) = request.headers().get("user-agent") {
            *self.user_agent = agent.to_str().unwrap().to_owned();
        }
        let Some((status, retry_after)) = self.refusal else {
            return Ok(response);
        };
        let mut refusal = ErrorResponse::new(Some("not now".to_owned()));
        *refusal.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(text) = retry_after {
            let value = HeaderValue::from_static(text);
            refusal.headers_mut().insert("retry-after", value);
        }
        Err(refusal)
    }
}

async fn serve(shared: Arc<Shared>, socket: TcpStream, script: Script) {
    let mut user_agent = String::new();
    let upgrade = Upgrade {
        refusal: script.refusal,
        user_agent: &mut user_agent,
    };
    let Ok(socket) = accept_hdr_async(socket, upgrade).await else {
        return;
    };
    let (outgoing, outbox) = unbounded_channel();
    let number = shared.change(|state| {
        let number = state.connections.len();
        state.log.push(("opened", number));
        state.connections.push(Connection {
            user_agent,
            outgoing,
            messages: Vec::new(),
            answered: 0,
            is_open: true,
            is_polite: false,
        });
        number
    });
    let steps = tokio::spawn(play(Arc::clone(&shared), number, script.steps));
    let _ = talk(&shared, number, socket, outbox, &script.acknowledge).await;
    steps.abort();
    shared.change(|state| {
        state.connections[number].is_open = false;
        state.log.push(("closed", number));
    });
}

/// Answers the client and sends what is due, until the connection ends.
async fn talk(
    shared: &Shared,
    number: usize,
    socket: WebSocketStream<TcpStream>,
    mut outbox: UnboundedReceiver<Outgoing>,
    acknowledge: &Acknowledge,
) -> Option<()> {
    let (mut sink, mut stream) = socket.split();
    loop {
        tokio::select! {
            next = outbox.recv() => match next? {
                Outgoing::Message(message) => sink.send(message).await.ok()?,
                Outgoing::DropTcp => return None,
            },
            message = stream.next() => match message?.ok()? {
                Message::Text(text) => {
                    for answer in acknowledge(&text) {
                        sink.send(Message::text(answer)).await.ok()?;
                    }
                    shared.change(|state| {
                        let message = (Instant::now(), text.to_string());
                        state.connections[number].messages.push(message);
                        state.log.push(("heard", number));
                    });
                }
                Message::Pong(payload) => {
                    let text = String::from_utf8_lossy(&payload);
                    let ping: u64 = text.parse().unwrap_or(0);
                    shared.change(|state| {
                        let answered = &mut state.connections[number].answered;
                        *answered = ping.max(*answered);
                    });
                }
                Message::Close(_) => {
                    shared.change(|state| state.connections[number].is_polite = true);
                }
                _ => {}
            },
        }
    }
}

/// Plays steps to a connection.
pub async fn play(shared: Arc<Shared>, number: usize, steps: Vec<Step>) {
    let push = |message| shared.push(number, message);
    for step in steps {
        match step {
            Step::Send(text) => {
                push(Message::text(text));
            }
            Step::SendBinary(bytes) => {
                push(Message::binary(bytes));
            }
            Step::SendRepeated { text, count } => {
                let message = Message::text(text);
                for _ in 0..count {
                    push(message.clone());
                }
            }
            Step::Pings(interval) => {
                while push(Message::Ping("are you there".into())) {
                    sleep(interval).await;
                }
            }
            Step::WaitFor(count) => {
                let enough = |state: &State| {
                    let messages = &state.connections[number].messages;
                    (messages.len() >= count).then_some(())
                };
                shared.until("messages of the client", enough).await;
            }
            Step::Close(code, reason) => {
                let (code, reason) = (code.into(), reason.into());
                push(Message::Close(Some(CloseFrame { code, reason })));
            }
            Step::DropTcp => {
                let state = shared.state.lock().unwrap();
                let _ = state.connections[number].outgoing.send(Outgoing::DropTcp);
            }
        }
    }
}
