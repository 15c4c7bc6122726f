//! Ten thousand WebSocket clients with one subscription each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::{SinkExt, StreamExt};
use marketlake_model::parse_time;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::{micros, say};

const SUBSCRIBE: &str =
    r#"{"type":"subscribe","id":"1","payload":{"query":"subscription { slots { timestamp } }"}}"#;
/// Connections opened at once.
const CONCURRENCY: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(60);

/// By minute: how many have heard of it, and when the last one did.
type Heard = Arc<Mutex<BTreeMap<i64, (usize, i64)>>>;

/// Says `ready` once all have heard of the minute that is there; when each has heard of so many
/// more, `minute NUMBER COUNT MICROS` for each.
pub async fn run(address: &str, count: usize, slots: usize) -> anyhow::Result<()> {
    let heard = Heard::default();
    let connecting = Arc::new(Semaphore::new(CONCURRENCY));
    let ready = Arc::new(Semaphore::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..count {
        let (address, heard) = (address.to_owned(), Arc::clone(&heard));
        let (connecting, ready) = (Arc::clone(&connecting), Arc::clone(&ready));
        clients.spawn(async move {
            let permit = connecting.acquire_owned().await?;
            let mut socket = connect(&address).await?;
            drop(permit);
            next_minute(&mut socket).await?;
            ready.add_permits(1);
            for _ in 0..slots {
                let minute = next_minute(&mut socket).await?;
                let now = micros();
                let mut heard = heard.lock();
                let (count, last) = heard.entry(minute).or_default();
                *count += 1;
                *last = now.max(*last);
            }
            // Stays open until all have heard.
            anyhow::Ok(socket)
        });
    }
    let all = u32::try_from(count)?;
    tokio::select! {
        permits = ready.acquire_many(all) => permits?.forget(),
        Some(failed) = clients.join_next() => { failed??; anyhow::bail!("one ended early") }
    }
    say("ready");
    let mut open = Vec::new();
    while let Some(client) = clients.join_next().await {
        open.push(client??);
    }
    for (minute, (count, last)) in &*heard.lock() {
        say(&format!("minute {minute} {count} {last}"));
    }
    Ok(())
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

async fn connect(address: &str) -> anyhow::Result<Socket> {
    let mut request = format!("ws://{address}/graphql/ws").into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
    let stream = TcpStream::connect(address).await?;
    let (mut socket, _) = client_async(request, stream).await?;
    socket
        .send(Message::text(r#"{"type":"connection_init"}"#))
        .await?;
    socket.send(Message::text(SUBSCRIBE)).await?;
    Ok(socket)
}

/// The number of the minute that is pushed next.
async fn next_minute(socket: &mut Socket) -> anyhow::Result<i64> {
    loop {
        let message = tokio::time::timeout(TIMEOUT, socket.next()).await?;
        let message = message.context("closed")??;
        let Message::Text(text) = message else {
            continue;
        };
        let value: serde_json::Value = serde_json::from_str(text.as_str())?;
        match value["type"].as_str() {
            Some("next") => {
                let at = &value["payload"]["data"]["slots"]["timestamp"];
                let at = at.as_str().with_context(|| value.to_string())?;
                return Ok(parse_time(at)?.minute().number());
            }
            Some("connection_ack") => (),
            _ => anyhow::bail!("unexpected: {value}"),
        }
    }
}
