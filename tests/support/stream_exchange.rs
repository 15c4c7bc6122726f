//! Exchange with a stream on loopback: a list of pairs over HTTP, and a WebSocket that plays a
//! script to each connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use super::exchange::{Answer, Exchange};
use super::stream_server::{Shared, State, accept, play};

/// Answers of an exchange to a message of its client.
pub type Acknowledge = Arc<dyn Fn(&str) -> Vec<String> + Send + Sync>;

/// Script of one connection.
#[derive(Clone)]
pub struct Script {
    /// Status and `Retry-After` in place of the upgrade.
    pub refusal: Option<(u16, Option<&'static str>)>,
    pub acknowledge: Acknowledge,
    pub steps: Vec<Step>,
}

impl Script {
    /// Accepts, acknowledges, and plays the steps. After the last one the connection stays open,
    /// acknowledges, and answers pings.
    pub fn accept(
        acknowledge: impl Fn(&str) -> Vec<String> + Send + Sync + 'static,
        steps: Vec<Step>,
    ) -> Self {
        Self {
            refusal: None,
            acknowledge: Arc::new(acknowledge),
            steps,
        }
    }

    /// Answers the upgrade by a status.
    pub fn refuse(status: u16, retry_after: Option<&'static str>) -> Self {
        Self {
            refusal: Some((status, retry_after)),
            ..Self::accept(|_| Vec::new(), Vec::new())
        }
    }
}

/// One step of a script.
#[derive(Clone)]
pub enum Step {
    /// Sends a text.
    Send(String),
    /// Sends bytes.
    SendBinary(Vec<u8>),
    /// Sends one text many times.
    SendRepeated { text: String, count: usize },
    /// Sends pings at an interval until the connection ends.
    Pings(Duration),
    /// Waits until the client has sent so many messages.
    WaitFor(usize),
    /// Sends a Close frame.
    Close(u16, &'static str),
    /// Ends the TCP connection without a Close frame.
    DropTcp,
}

/// A running exchange.
pub struct StreamExchange {
    /// Its REST API.
    pub rest: Exchange,
    /// Host and port of its stream.
    pub host: String,
    shared: Arc<Shared>,
}

impl StreamExchange {
    /// Gives the scripts to connections in turn, and the last one to all further ones.
    pub async fn start(
        rest: impl IntoIterator<Item = Answer>,
        scripts: impl IntoIterator<Item = Script>,
    ) -> Self {
        let rest = Exchange::with(rest).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::new(scripts.into_iter().collect()));
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { rest, host, shared }
    }

    /// Number of TCP connections so far, refused ones included.
    pub fn attempts(&self) -> usize {
        self.shared.state.lock().unwrap().attempts
    }

    /// Waits until so many WebSockets have been opened.
    pub async fn connections(&self, count: usize) {
        let enough = |state: &State| (state.connections.len() >= count).then_some(());
        self.shared.until("connections", enough).await;
    }

    /// Waits until a connection's client has sent so many messages, and returns all that it sent.
    pub async fn messages(&self, number: usize, count: usize) -> Vec<(Instant, String)> {
        let enough = |state: &State| {
            let messages = &state.connections.get(number)?.messages;
            (messages.len() >= count).then(|| messages.clone())
        };
        self.shared.until("messages of the client", enough).await
    }

    /// Waits until a connection has ended, and returns whether its client sent a Close frame.
    pub async fn closed(&self, number: usize) -> bool {
        let closed = |state: &State| {
            let connection = state.connections.get(number)?;
            (!connection.is_open).then_some(connection.is_polite)
        };
        self.shared.until("the end of a connection", closed).await
    }

    pub fn user_agent(&self, number: usize) -> String {
        self.shared.state.lock().unwrap().connections[number]
            .user_agent
            .clone()
    }

    /// Events so far, in their order: `opened`, `heard` and `closed`, each with the number of
    /// a connection.
    pub fn log(&self) -> Vec<(&'static str, usize)> {
        self.shared.state.lock().unwrap().log.clone()
    }

    /// Sends a text to the newest open connection, and waits until its client has read it.
    pub async fn send(&self, text: impl Into<String>) {
        let open = |state: &State| state.connections.iter().rposition(|one| one.is_open);
        let number = self.shared.until("an open connection", open).await;
        self.play(number, vec![Step::Send(text.into())]).await;
    }

    /// Numbers of the connections that are open.
    pub fn open(&self) -> Vec<usize> {
        let state = self.shared.state.lock().unwrap();
        let connections = state.connections.iter().enumerate();
        let open = connections.filter(|(_, connection)| connection.is_open);
        open.map(|(number, _)| number).collect()
    }

    /// Sends a text to all open connections, as an exchange does, and waits until their clients
    /// have read it.
    pub async fn broadcast(&self, text: &str) {
        for number in self.open() {
            self.play(number, vec![Step::Send(text.to_owned())]).await;
        }
    }

    /// Plays steps to a connection, and waits until its client has read them or is gone.
    pub async fn play(&self, number: usize, steps: Vec<Step>) {
        play(Arc::clone(&self.shared), number, steps).await;
        self.settle(number).await;
    }

    /// Waits until a connection's client has read all that was sent to it, or is gone: it reads a
    /// ping after what came before, and answers it.
    pub async fn settle(&self, number: usize) {
        let ping = self.shared.change(|state| {
            state.pings += 1;
            state.pings
        });
        self.shared
            .push(number, Message::Ping(ping.to_string().into()));
        let answered = |state: &State| {
            let connection = &state.connections[number];
            (connection.answered >= ping || !connection.is_open).then_some(())
        };
        self.shared.until("the answer to a ping", answered).await;
    }
}
