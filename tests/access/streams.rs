//! Streams and sockets end with the key or token that opened them.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::graphql::live::Talk;
use crate::rest::{HISTORY, serve_with};
use crate::support::base::{Base, on_both};
use crate::support::client::key;
use crate::support::program::{Program, Running};
use crate::support::provider::{Provider, Signer};

const LIVE: &str = "subscription { slots { timestamp } }";
const EVENTS: &str = "text/event-stream";
const PARTS: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json";
/// Within which it must have ended; the server looks every two seconds.
const SOON: Duration = Duration::from_secs(20);

async fn stream(server: &Running, accept: &str, key: &str) -> Response {
    let request = reqwest::Client::new()
        .post(server.url("/graphql"))
        .bearer_auth(key)
        .header("content-type", "application/json")
        .header("accept", accept)
        .body(json!({"query": LIVE}).to_string());
    let mut stream = request.send().await.unwrap();
    let (mut heard, deadline) = (String::new(), Instant::now() + SOON);
    while !heard.contains("10:03:00Z") {
        let chunk = timeout_at(deadline, stream.chunk()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("no minute: {heard}"));
        heard += &String::from_utf8_lossy(&chunk.unwrap().expect(&heard));
    }
    stream
}

/// Text of a stream until it ends, which it must do soon.
async fn rest_of(mut stream: Response) -> String {
    let (mut heard, deadline) = (String::new(), Instant::now() + SOON);
    loop {
        let chunk = timeout_at(deadline, stream.chunk()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("it goes on: {heard}"));
        match chunk.unwrap() {
            Some(chunk) => heard += &String::from_utf8_lossy(&chunk),
            None => return heard,
        }
    }
}

/// A WebSocket on which something is live, with a key in its first message.
async fn socket(server: &Running, key: &str) -> Talk {
    let payload = json!({"authorization": format!("Bearer {key}")});
    let mut talk = Talk::begun(server, payload).await;
    talk.subscribe("1", LIVE).await;
    talk.hear().await.unwrap();
    talk
}

async fn ended(talk: &mut Talk) -> Result<Value, u16> {
    let heard = tokio::time::timeout(SOON, talk.hear()).await;
    heard.expect("the socket to be closed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_ends_its_sockets_and_streams() {
    on_both(async |base: Base| {
        let program = Program::on(&base).with("MARKETLAKE_AUTH__MODE", "keys");
        let server = serve_with(&program, &base, HISTORY).await;
        let (doomed, other) = (key(&program, "read").await, key(&program, "read").await);
        let events = stream(&server, EVENTS, &doomed).await;
        let parts = stream(&server, PARTS, &doomed).await;
        let mut talk = socket(&server, &doomed).await;
        let mut stays = socket(&server, &other).await;
        let id = doomed.split('_').nth(1).unwrap();
        program.ok(&["keys", "revoke", id]).await;
        assert_eq!(ended(&mut talk).await, Err(4401));
        let heard = rest_of(events).await;
        assert!(
            heard.contains("UNAUTHENTICATED") && heard.contains("the key was revoked"),
            "{heard}"
        );
        assert!(heard.contains("event: complete"), "{heard}");
        let heard = rest_of(parts).await;
        assert!(heard.contains("UNAUTHENTICATED"), "{heard}");
        assert!(heard.ends_with("--graphql--\r\n"), "{heard}");
        stays.say(&json!({"type": "ping"})).await;
        assert_eq!(stays.hear().await.unwrap()["type"], "pong");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_token_that_expires_ends_its_sockets_and_streams() {
    let base = Base::local().await;
    let provider = Provider::open().await;
    let signer = Signer::new("one");
    provider.keys.lock().push(signer.public());
    let program = provider.trusted_by(&base);
    let server = serve_with(&program, &base, HISTORY).await;
    for is_token in [false, true] {
        let short = if is_token {
            let mut claims = provider.claims("anna", "read");
            claims["exp"] = json!(chrono::Utc::now().timestamp() + 6);
            signer.token(&claims)
        } else {
            let create = ["keys", "create", "--expires", "6s", "short"];
            program.ok(&create).await.trim().to_owned()
        };
        let events = stream(&server, EVENTS, &short).await;
        let mut talk = socket(&server, &short).await;
        assert_eq!(ended(&mut talk).await, Err(4403));
        let heard = rest_of(events).await;
        assert!(heard.contains("has expired"), "{heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_key_that_is_replaced_ends_its_sockets() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let server = serve_with(&program, &base, HISTORY).await;
    let mut talk = socket(&server, &server.operator_key()).await;
    program.ok(&["keys", "rotate-operator"]).await;
    assert_eq!(ended(&mut talk).await, Err(4401));
}
