//! An exchange on loopback: answers one request after the other as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use marketlake_feeds::{ExchangeOptions, Feed};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// One answer.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    delay: Duration,
    /// Number of announced bytes that it does not send.
    missing: usize,
}

impl Answer {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200, body)
    }

    pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
            missing: 0,
        }
    }

    /// Binance's tickers: symbols, each with a price, and a volume of 24 hours of 10.
    pub fn tickers(prices: &[(&str, &str)]) -> Self {
        let mut tickers: Vec<Value> = Vec::new();
        for (symbol, price) in prices {
            tickers.push(json!({"symbol": symbol, "lastPrice": price, "volume": "10"}));
        }
        Self::ok(Value::from(tickers).to_string())
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub fn truncated(mut self) -> Self {
        self.missing = 1_000;
        self
    }

    /// The response, once its time has come.
    pub async fn into_response(self) -> Response {
        tokio::time::sleep(self.delay).await;
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        if self.missing == 0 {
            return response.body(Body::from(self.body)).unwrap();
        }
        // The connection breaks off before the end that was promised.
        let broken = futures::stream::iter([Ok(self.body), Err(std::io::Error::other("gone"))]);
        response.body(Body::from_stream(broken)).unwrap()
    }
}

/// A running exchange.
pub struct Exchange {
    pub url: String,
    state: Arc<Mutex<Script>>,
}

struct Script {
    answers: VecDeque<Answer>,
    last: Answer,
    requests: Vec<Received>,
}

/// A request: path and query, and headers.
struct Received {
    path: String,
    api_key: Option<String>,
    user_agent: Option<String>,
}

impl Exchange {
    /// Gives the answers in turn, and the last one for ever.
    pub async fn with(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: VecDeque<Answer> = answers.into_iter().collect();
        let last = answers.back().expect("an answer").clone();
        let state = Arc::new(Mutex::new(Script {
            answers,
            last,
            requests: Vec::new(),
        }));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }

    /// The feed that polls it as an exchange of a name is polled.
    pub fn polled(&self, name: &str, timeout: Option<Duration>) -> Arc<dyn Feed> {
        let options = ExchangeOptions {
            base_url: Some(self.url.parse().unwrap()),
            timeout,
            ..ExchangeOptions::default()
        };
        let exchange = marketlake_feeds::Exchange::by_name(name).unwrap();
        exchange.poll(&options).unwrap()
    }

    /// Path and query of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.state
            .lock()
            .unwrap()
            .requests
            .iter()
            .map(|request| request.path.clone())
            .collect()
    }

    /// The API key of each request so far.
    pub fn keys(&self) -> Vec<Option<String>> {
        self.state
            .lock()
            .unwrap()
            .requests
            .iter()
            .map(|request| request.api_key.clone())
            .collect()
    }

    /// The `User-Agent` of each request so far.
    pub fn user_agents(&self) -> Vec<Option<String>> {
        self.state
            .lock()
            .unwrap()
            .requests
            .iter()
            .map(|request| request.user_agent.clone())
            .collect()
    }
}

async fn answer(State(state): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let answer = {
        let mut script = state.lock().unwrap();
        let header = |name: &str| {
            let value = request.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        script.requests.push(Received {
            path: request.uri().to_string(),
            api_key: header("x-cw-api-key"),
            user_agent: header("user-agent"),
        });
        script
            .answers
            .pop_front()
            .unwrap_or_else(|| script.last.clone())
    };
    answer.into_response().await
}
