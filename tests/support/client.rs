//! One who asks over HTTP, with a key or without.

use std::sync::Arc;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::program::{Program, Running};

/// Who asks, and whom.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    headers: Vec<(String, String)>,
    /// Kept running for as long as somebody asks it.
    _server: Option<Arc<Running>>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    pub fn of(server: &Running) -> Self {
        Self {
            base: server.url(""),
            http: reqwest::Client::new(),
            headers: Vec::new(),
            _server: None,
        }
    }

    /// Of a server that nobody else needs.
    pub fn owning(server: Running) -> Self {
        let client = Self::of(&server);
        Self {
            _server: Some(Arc::new(server)),
            ..client
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    pub fn with_key(&self, key: &str) -> Self {
        self.with("authorization", &format!("Bearer {key}"))
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let mut request = self.http.request(method, self.url(path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        let client = self.with("content-type", "application/json");
        client.send(method, path, Some(body.to_string())).await
    }

    /// The whole answer to a GraphQL request.
    pub async fn graphql(&self, query: &str) -> Value {
        let body = json!({"query": query});
        self.json(Method::POST, "/graphql", &body).await.value()
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .to_str()
            .unwrap()
    }
}

/// A new API key.
pub async fn key(program: &Program, scopes: &str) -> String {
    let made = program
        .ok(&["key", "create", "--scopes", scopes, "for a test"])
        .await;
    made.trim().to_owned()
}
