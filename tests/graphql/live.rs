//! Live values over WebSocket and over SSE, and clients that break the protocol.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::rest::{HISTORY, serve, serve_with};
use crate::support::base::{Base, on_both};
use crate::support::client::{Client, key};
use crate::support::program::{Program, Running};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Client of graphql-transport-ws.
pub struct Talk(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Talk {
    pub async fn open(server: &Running, protocol: Option<&str>) -> Self {
        let url = server.url("/graphql/ws").replace("http://", "ws://");
        let mut request = url.into_client_request().unwrap();
        if let Some(protocol) = protocol {
            let headers = request.headers_mut();
            headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        // Without one the server accepts and closes, which the library takes for an error of its
        // own.
        Self(connect_async(request).await.unwrap().0)
    }

    pub async fn begun(server: &Running, payload: Value) -> Self {
        let mut talk = Self::open(server, Some("graphql-transport-ws")).await;
        talk.say(&json!({"type": "connection_init", "payload": payload}))
            .await;
        assert_eq!(talk.hear().await, Ok(json!({"type": "connection_ack"})));
        talk
    }

    pub async fn say(&mut self, message: &Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    pub async fn subscribe(&mut self, id: &str, query: &str) {
        let payload = json!({"query": query});
        self.say(&json!({"type": "subscribe", "id": id, "payload": payload}))
            .await;
    }

    /// The next message, or the code with which it was closed.
    pub async fn hear(&mut self) -> Result<Value, u16> {
        loop {
            let message = timeout(TIMEOUT, self.0.next())
                .await
                .expect("a message in time");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(1005, |f| f.code.into()));
                }
                Some(Ok(_)) => (),
                None | Some(Err(_)) => return Err(1006),
            }
        }
    }
}

async fn import(base: &Base, rows: &str) {
    let file = base.path().join("more.csv");
    std::fs::write(&file, format!("metric,ts,value\n{rows}")).unwrap();
    Program::on(base)
        .ok(&["import", file.to_str().unwrap()])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_minute_is_pushed_to_those_who_asked_for_it() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let mut talk = Talk::begun(&server, Value::Null).await;
        talk.subscribe("s", r#"subscription { samples(metrics: ["tie", "hottry"]) { timestamp samples { metric { name } sample { value } } } }"#).await;
        let first = talk.hear().await.unwrap();
        assert_eq!(first, json!({"type": "next", "id": "s", "payload": {"data": {"samples": {"timestamp": "2026-11-24T10:03:00Z", "samples": [{"metric": {"name": "hottry"}, "sample": {"value": "0.0000001"}}]}}}}));
        talk.subscribe("r", "subscription { ranking(first: 1) { changed places { display } } }").await;
        assert_eq!(talk.hear().await.unwrap()["payload"]["data"]["ranking"], json!({"changed": ["gateio:hottry"], "places": [{"display": "1/3"}]}));
        import(&base, "kraken:tie,2026-11-24T10:04:00Z,900\n").await;
        let mut heard = [talk.hear().await.unwrap(), talk.hear().await.unwrap()];
        heard.sort_by_key(|message| message["id"].to_string());
        assert_eq!(heard[0]["payload"]["data"]["ranking"]["changed"], json!(["kraken:tie"]));
        assert_eq!(heard[1]["payload"]["data"]["samples"]["samples"], json!([{"metric": {"name": "tie"}, "sample": {"value": "900"}}]));
        // Ended by the client, it says nothing more; the name may be used again.
        talk.say(&json!({"type": "complete", "id": "s"})).await;
        talk.subscribe("s", "{ metric(name: \"tie\") { id } }").await;
        assert_eq!(talk.hear().await.unwrap()["payload"]["data"]["metric"]["id"], "kraken:tie");
        assert_eq!(talk.hear().await, Ok(json!({"type": "complete", "id": "s"})));
        talk.say(&json!({"type": "ping", "payload": {"a": 1}})).await;
        assert_eq!(talk.hear().await, Ok(json!({"type": "pong", "payload": {"a": 1}})));
        talk.subscribe("e", "subscription { nope }").await;
        assert_eq!(talk.hear().await.unwrap()["type"], "error");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_is_pushed_at_its_minute() {
    let base = Base::local().await;
    let mut history = "metric,ts,value\n".to_owned();
    for minute in 0..50 {
        history += &format!("a:one,2026-11-24T10:{minute:02}:00Z,10\n");
    }
    let server = serve(&base, &history).await;
    let mut talk = Talk::begun(&server, Value::Null).await;
    talk.subscribe(
        "j",
        r#"subscription { jumps(metric: "one") { timestamp jumps { metric { id } ratio } } }"#,
    )
    .await;
    import(&base, "a:one,2026-11-24T10:50:00Z,40\n").await;
    let heard = talk.hear().await.unwrap();
    assert_eq!(
        heard["payload"]["data"]["jumps"],
        json!({"timestamp": "2026-11-24T10:50:00Z", "jumps": [{"metric": {"id": "a:one"}, "ratio": 4.0}]})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_the_protocol_is_told_how() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_AUTH__MODE", "keys");
    let server = serve_with(&program, &base, HISTORY).await;
    let slots = json!({"type": "subscribe", "id": "1", "payload": {"query": "subscription { slots \
        { timestamp } }"}});
    let init = json!({"type": "connection_init"});
    let bad_key =
        json!({"type": "connection_init", "payload": {"authorization": "Bearer ml_no_key"}});
    let no_payload = json!({"type": "subscribe", "id": "1"});
    let no_query = json!({"type": "subscribe", "id": "1", "payload": {"query": 7}});
    for (said, code) in [
        (vec![json!("hello")], 4400),
        (vec![json!({"type": "nonsense"})], 4400),
        (vec![init.clone(), no_payload], 4400),
        (vec![init.clone(), no_query], 4400),
        (vec![slots.clone()], 4401),
        (vec![bad_key], 4403),
        (vec![init.clone(), slots.clone(), slots.clone()], 4409),
        (vec![init.clone(), init.clone()], 4429),
    ] {
        let mut talk = Talk::open(&server, Some("graphql-transport-ws")).await;
        for message in &said {
            talk.say(message).await;
        }
        let closed = loop {
            if let Err(closed) = talk.hear().await {
                break closed;
            }
        };
        assert_eq!(closed, code, "{said:?}");
    }
    let mut binary = Talk::open(&server, Some("graphql-transport-ws")).await;
    binary.0.send(Message::binary(vec![0, 159])).await.unwrap();
    assert_eq!(binary.hear().await, Err(4400));
    let mut silent = Talk::open(&server, Some("graphql-transport-ws")).await;
    assert_eq!(silent.hear().await, Err(4408));
    // An operator's fields need an operator's key, which may come in the first message.
    let key = key(&program, "admin").await;
    let mut talk = Talk::begun(&server, json!({"authorization": format!("Bearer {key}")})).await;
    talk.subscribe("1", "{ jobRuns { nodes { id } } }").await;
    assert_eq!(
        talk.hear().await.unwrap()["payload"]["data"]["jobRuns"]["nodes"],
        json!([])
    );
    // Pages of foreign origins are not let in at all.
    let foreign = Client::of(&server)
        .with("origin", "https://evil.example")
        .with("connection", "upgrade")
        .with("upgrade", "websocket")
        .with("sec-websocket-version", "13")
        .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(foreign.get("/graphql/ws").await.status.as_u16(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_says_goodbye() {
    let base = Base::local().await;
    let mut server = serve(&base, HISTORY).await;
    let mut talk = Talk::begun(&server, Value::Null).await;
    talk.subscribe("1", "subscription { slots { timestamp } }")
        .await;
    talk.hear().await.unwrap();
    let client = Client::of(&server).with("accept", "text/event-stream");
    let query = json!({"query": "subscription { slots { timestamp } }"});
    let events = tokio::spawn(async move { client.json(Method::POST, "/graphql", &query).await });
    let (code, took) = server.interrupt().await;
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(talk.hear().await, Err(1001));
    // It may have been too late to be begun at all; what was begun came to its end.
    if let Ok(answer) = events.await {
        assert!(
            answer.text().ends_with("event: complete\ndata\n\n")
                || answer.text().contains("event: complete"),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_one_by_one_and_end() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let client = Client::of(&server).with("accept", "text/event-stream");
    let send = async |query: &str| {
        client
            .json(Method::POST, "/graphql", &json!({"query": query}))
            .await
    };
    let once = send(r#"{ metric(name: "tie") { id } }"#).await;
    assert_eq!(once.header("content-type"), "text/event-stream");
    let text = once.text();
    assert!(
        text.starts_with(
            "event: next\ndata: {\"data\":{\"metric\":{\"id\":\"kraken:tie\"}}}\n\nevent: complete"
        ),
        "{text}"
    );
    let wrong = send("subscription { nope }").await.text();
    assert!(
        wrong.starts_with("event: next\ndata: {\"errors\":") && wrong.contains("event: complete"),
        "{wrong}"
    );
    let mut stream = reqwest::Client::new()
        .post(server.url("/graphql"))
        .header("content-type", "application/json")
        .header("accept", "text/event-stream")
        .body(json!({"query": "subscription { slots { timestamp } }"}).to_string())
        .send()
        .await
        .unwrap();
    let first = timeout(TIMEOUT, stream.chunk())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&first).contains("10:03:00Z"),
        "{first:?}"
    );
    import(&base, "kraken:tie,2026-11-24T10:04:00Z,8\n").await;
    let second = timeout(TIMEOUT, stream.chunk())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&second).contains("10:04:00Z"),
        "{second:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_come_one_by_one_as_apollo_client_asks_for_them() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let accept = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json";
    let post = async |body: String| {
        let request = reqwest::Client::new()
            .post(server.url("/graphql"))
            .header("content-type", "application/json")
            // Packed, a part would wait for the next one.
            .header("accept-encoding", "gzip")
            .header("accept", accept);
        request.body(body).send().await.unwrap()
    };
    let refused = post("[1".to_owned()).await;
    assert_eq!(refused.status().as_u16(), 400);
    assert!(refused.text().await.unwrap().contains("BAD_REQUEST"));
    let wrong = post(json!({"query": "subscription { nope }"}).to_string()).await;
    let wrong = timeout(TIMEOUT, wrong.text()).await.unwrap().unwrap();
    assert!(wrong.contains("Unknown field \\\"nope\\\""), "{wrong}");
    assert!(wrong.ends_with("--graphql--\r\n"), "{wrong}");

    let variables = json!({"names": ["tie"]});
    let query = "subscription ($names: [String!]!) { samples(metrics: $names) { samples { sample \
        { value } } } }";
    let body = json!({"query": query, "variables": variables}).to_string();
    let mut stream = post(body).await;
    assert_eq!(
        stream.headers()["content-type"],
        "multipart/mixed; boundary=graphql; subscriptionSpec=1.0"
    );
    let mut heard = String::new();
    let deadline = Instant::now() + TIMEOUT;
    let mut hear = async |wanted: &str| {
        while !heard.contains(wanted) {
            let chunk = timeout_at(deadline, stream.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("no {wanted} in {heard}"));
            heard += &String::from_utf8(chunk.unwrap().unwrap().into()).unwrap();
        }
    };
    hear("--graphql\r\nContent-Type: application/json\r\n\r\n{\"data\":").await;
    // None at the newest minute.
    hear("\"samples\":[]").await;
    import(&base, "kraken:tie,2026-11-24T10:04:00Z,8.125\n").await;
    hear("{\"value\":\"8.125\"}").await;
}
