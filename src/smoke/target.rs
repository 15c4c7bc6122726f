//! Server under test.

use std::time::Duration;

use marketlake_common::reason;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use url::Url;

use super::Probe;

const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);
/// Characters of a response that are shown.
const SHOWN: usize = 160;

/// A server and the key to use.
pub(crate) struct Target {
    http: Client,
    base: Url,
    key: Option<String>,
}

/// A response.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Target {
    /// # Errors
    /// Fails if no client can be made.
    pub(crate) fn new(base: Url, key: Option<String>) -> anyhow::Result<Self> {
        let http = Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { http, base, key })
    }

    /// The same server, without a key.
    pub(crate) fn without_key(self) -> Self {
        Self { key: None, ..self }
    }

    /// Whether it accepts the key; also true if it cannot be reached.
    pub(crate) async fn takes_key(&self) -> bool {
        let answer = self.get("/v1/metrics?limit=1").await;
        answer.map_or(true, |answer| answer.status != StatusCode::UNAUTHORIZED)
    }

    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Waits until it is ready.
    pub(super) async fn wait(&self, timeout: Duration) -> Probe {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.get("/readyz").await.and_then(Answer::good);
            if seen.is_ok() || Instant::now() >= deadline {
                return Probe::new("/readyz", seen.map(|_| "ready".to_owned()));
            }
            sleep(PAUSE).await;
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, String> {
        self.send(self.http.get(self.url(path)?)).await
    }

    /// Requests an upgrade to a WebSocket.
    pub(super) async fn upgrade(&self, path: &str, protocol: &str) -> Result<Answer, String> {
        let request = self.http.get(self.url(path)?);
        let request = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "bWFya2V0bGFrZS1zbW9rZQ=="),
            ("sec-websocket-protocol", protocol),
        ]
        .into_iter()
        .fold(request, |request, (name, value)| {
            request.header(HeaderName::from_static(name), value)
        });
        let answer = request.send().await.map_err(|error| reason(&error))?;
        Ok(Answer {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: Vec::new(),
        })
    }

    /// Runs a GraphQL query and returns its data.
    pub(super) async fn query(&self, query: &str, variables: Value) -> Result<Value, String> {
        let body = json!({"query": query, "variables": variables}).to_string();
        let request = self.http.post(self.url("/graphql")?).body(body);
        let request = request.header(CONTENT_TYPE, "application/json");
        let mut answer = self.send(request).await?.json()?;
        match answer.get("errors") {
            None => Ok(answer["data"].take()),
            Some(errors) => Err(cut(&errors.to_string())),
        }
    }

    /// Reads the first event of a stream.
    pub(super) async fn first_event(&self, query: &str) -> Result<String, String> {
        let body = json!({"query": query}).to_string();
        let request = self.http.post(self.url("/graphql")?).body(body);
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream");
        let answer = self.keyed(request).send().await;
        let mut answer = answer.map_err(|error| reason(&error))?;
        let chunk = answer.chunk().await.map_err(|error| reason(&error))?;
        Ok(String::from_utf8_lossy(&chunk.unwrap_or_default()).into_owned())
    }

    fn url(&self, path: &str) -> Result<Url, String> {
        // Below the address' own path, for a server behind a proxy.
        let base = self.base.as_str().trim_end_matches('/');
        format!("{base}{path}")
            .parse()
            .map_err(|error: url::ParseError| error.to_string())
    }

    fn keyed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, String> {
        let answer = self.keyed(request).send().await;
        let answer = answer.map_err(|error| reason(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|error| reason(&error))?;
        Ok(Answer {
            status,
            headers,
            body: body.into(),
        })
    }
}

impl Answer {
    /// Fails unless the status is a success.
    pub(super) fn good(self) -> Result<Self, String> {
        if self.status.is_success() {
            Ok(self)
        } else {
            let body = String::from_utf8_lossy(&self.body);
            Err(format!("status {}: {}", self.status, cut(body.trim())))
        }
    }

    pub(super) fn json(self) -> Result<Value, String> {
        let answer = self.good()?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            let body = String::from_utf8_lossy(&answer.body);
            format!("expected JSON, got {:?} ({error})", cut(&body))
        })
    }

    pub(super) fn content_type(&self) -> &str {
        let value = self.headers.get(CONTENT_TYPE);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
