//! REST API of an exchange on loopback whose answers depend on the request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use url::form_urlencoded;

use super::exchange::Answer;

/// Answers of an exchange, by the request and its number, from 0.
type Handler = Arc<dyn Fn(&RestRequest, usize) -> Answer + Send + Sync>;

/// A request, decoded.
#[derive(Clone, Debug)]
pub struct RestRequest {
    /// Time at which it came.
    pub at: Instant,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub user_agent: String,
    /// Whether it carries a user and password.
    pub has_credentials: bool,
}

impl RestRequest {
    /// A parameter; the empty text where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A parameter that is a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name).parse().ok()
    }
}

/// A running exchange.
pub struct RestExchange {
    pub url: String,
    state: Arc<Served>,
}

struct Served {
    handler: Handler,
    requests: Mutex<Vec<RestRequest>>,
}

impl RestExchange {
    /// Starts an exchange that answers as the handler says.
    pub async fn start(
        handler: impl Fn(&RestRequest, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(Served {
            handler: Arc::new(handler),
            requests: Mutex::default(),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<RestRequest> {
        self.state.requests.lock().unwrap().clone()
    }
}

async fn answer(State(state): State<Arc<Served>>, request: Request) -> Response {
    let answer = state.answer(&received(&request));
    drop(request);
    answer.into_response().await
}

fn received(request: &Request) -> RestRequest {
    let uri = request.uri();
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let header = |name: &str| request.headers().get(name);
    let user_agent = header("user-agent").map(|value| value.to_str().unwrap().to_owned());
    RestRequest {
        at: Instant::now(),
        path: percent_decode_str(uri.path())
            .decode_utf8()
            .unwrap()
            .into_owned(),
        query: query.into_owned().collect(),
        user_agent: user_agent.unwrap_or_default(),
        has_credentials: header("authorization").is_some(),
    }
}

impl Served {
    fn answer(&self, request: &RestRequest) -> Answer {
        let mut requests = self.requests.lock().unwrap();
        let answer = (self.handler)(request, requests.len());
        requests.push(request.clone());
        answer
    }
}
