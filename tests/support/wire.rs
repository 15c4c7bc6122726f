//! Faulty network between a program and a server: a proxy on loopback that loses, delays and
//! refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use parking_lot::Mutex;

use super::loopback;

/// Faults of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weather {
    Calm,
    /// Of twenty calls four fail: two are refused, of two nothing is heard; of two more that are
    /// done the answer is late, or lost.
    Stormy,
    /// Every call that writes is refused, with this status and code.
    Refused(u16, &'static str),
}

/// A proxy. It ends with the test's runtime.
pub struct Wire {
    pub endpoint: String,
    weather: Mutex<Weather>,
    calls: AtomicU64,
    disturbed: AtomicU64,
    target: String,
    http: reqwest::Client,
}

enum Fate {
    Good,
    Refused(u16, &'static str),
    Mute,
    Late,
    Lost,
}

impl Wire {
    /// In front of a server.
    pub async fn to(target: &str) -> Arc<Self> {
        let (listener, endpoint) = loopback::listen().await;
        let wire = Arc::new(Self {
            endpoint,
            weather: Mutex::new(Weather::Calm),
            calls: AtomicU64::new(0),
            disturbed: AtomicU64::new(0),
            target: target.to_owned(),
            http: reqwest::Client::new(),
        });
        let serving = Arc::clone(&wire);
        let answer = service_fn(move |request| Arc::clone(&serving).answer(request));
        loopback::serve(listener, answer);
        wire
    }

    pub fn set(&self, weather: Weather) {
        *self.weather.lock() = weather;
    }

    /// Number of calls that were disturbed.
    pub fn disturbed(&self) -> u64 {
        self.disturbed.load(Ordering::SeqCst)
    }

    /// By a fixed sequence, so that a failing test fails again.
    fn fate(&self, writes: bool) -> Fate {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let fate = match &*self.weather.lock() {
            Weather::Refused(status, code) if writes => Fate::Refused(*status, code),
            Weather::Calm | Weather::Refused(..) => Fate::Good,
            Weather::Stormy => match (call * 7 + call / 20) % 20 {
                2 => Fate::Refused(503, "SlowDown"),
                5 => Fate::Refused(500, "InternalError"),
                9 | 12 => Fate::Mute,
                15 => Fate::Late,
                18 => Fate::Lost,
                _ => Fate::Good,
            },
        };
        if !matches!(fate, Fate::Good) {
            self.disturbed.fetch_add(1, Ordering::SeqCst);
        }
        fate
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let hung_up = || std::io::Error::other("hung up");
        match self.fate(request.method() != Method::GET) {
            Fate::Mute => Err(hung_up()),
            Fate::Refused(status, code) => Ok(refusal(status, code)),
            Fate::Good => Ok(self.pass(request).await),
            Fate::Late => {
                let answer = self.pass(request).await;
                tokio::time::sleep(Duration::from_millis(400)).await;
                Ok(answer)
            }
            Fate::Lost => {
                self.pass(request).await;
                Err(hung_up())
            }
        }
    }

    async fn pass(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let body = body.collect().await.unwrap().to_bytes();
        // As it was signed: the host's name too.
        let sent = self
            .http
            .request(head.method, format!("{}{path}", self.target))
            .headers(head.headers)
            .body(body);
        let answer = sent.send().await.unwrap();
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if name != "transfer-encoding" {
                response = response.header(name, value);
            }
        }
        let body = answer.bytes().await.unwrap();
        response.body(Full::new(body)).unwrap()
    }
}

fn refusal(status: u16, code: &str) -> Response<Full<Bytes>> {
    let xml = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as the weather has \
         it</Message></Error>"
    );
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/xml");
    response.body(Full::new(Bytes::from(xml))).unwrap()
}
