//! HTTP client, with a key or without.

use std::sync::Arc;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::program::{Program, Running};

/// HTTP client of one server, with its headers.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    headers: Vec<(String, String)>,
    /// Kept running while a client uses it.
    server: Option<Arc<Running>>,
}

/// HTTP response.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    pub fn of(server: &Running) -> Self {
        Self::at(&server.url(""))
    }

    /// On the server's operations listener.
    pub fn of_operations(server: &Running) -> Self {
        Self::at(&server.operations_url(""))
    }

    /// At an address.
    pub fn at(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            http: reqwest::Client::new(),
            headers: Vec::new(),
            server: None,
        }
    }

    /// The operator of a server that only this client uses.
    pub fn owning(server: Running) -> Self {
        let client = server.operator();
        Self {
            server: Some(Arc::new(server)),
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

    /// With this key in place of any other.
    pub fn with_key(&self, key: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(name, _)| name != "authorization");
        client.with("authorization", &format!("Bearer {key}"))
    }

    /// The text of `/metrics` of a server that it owns.
    pub async fn metrics(&self) -> String {
        self.server.as_ref().unwrap().metrics().await
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

    /// The status alone, of an answer that may have no end.
    pub async fn status(&self, path: &str) -> u16 {
        let mut request = self.http.get(self.url(path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status().as_u16()
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
        .ok(&["keys", "create", "--scopes", scopes, "for a test"])
        .await;
    made.trim().to_owned()
}
