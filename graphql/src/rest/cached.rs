//! Keeps answers until the next commit, tells browsers and proxies how long they may, and says 304 to those who have the answer already (RFC 9110, RFC 9111).

use std::sync::Arc;

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use marketlake_lake::Lake;
use sha2::{Digest, Sha256};

use super::Problem;
use crate::cache::{Answers, Key, Made, Weigh};
use crate::caller::Caller;
use crate::clock::Clock;

/// How long after its end a minute is usually there, in seconds.
const USUAL_DELAY: i64 = 3;
const MINUTE: i64 = 60;
/// Headers that are part of an answer.
const OWN: [&str; 4] = [
    "content-type",
    "link",
    "marketlake-simulated",
    super::ENGINE,
];

/// The answers that are kept.
pub(crate) struct Shelf {
    lake: Arc<Lake>,
    clock: Arc<Clock>,
    answers: Answers<Kept>,
}

/// An answer.
struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    etag: HeaderValue,
    body: Bytes,
}

impl Weigh for Kept {
    fn body(&self) -> &Bytes {
        &self.body
    }
}

impl Shelf {
    pub(crate) fn new(
        name: &'static str,
        lake: &Arc<Lake>,
        clock: &Arc<Clock>,
        most_bytes: u64,
    ) -> Self {
        Self {
            lake: Arc::clone(lake),
            clock: Arc::clone(clock),
            answers: Answers::new(name, most_bytes),
        }
    }

    /// Until when an answer is surely the newest: the next minute's coming.
    async fn max_age(&self) -> i64 {
        match self.clock.mention(&self.lake).await {
            Some(now) => {
                let seconds = now.0.div_euclid(1_000);
                let since = (seconds - USUAL_DELAY).rem_euclid(MINUTE);
                MINUTE - since
            }
            None => 0,
        }
    }
}

/// Answers by what is kept, where the lake is as it was.
pub(crate) async fn cached(
    State(shelf): State<Arc<Shelf>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let headers = request.headers();
    let has = headers.get(IF_NONE_MATCH).cloned();
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let question = format!("{}\0{}", accept.unwrap_or_default(), request.uri());
    let kept = match shelf.lake.recent_day().version() {
        None => match keep(next.run(request).await).await {
            Made::Lasting(kept) | Made::Passing(kept) => Arc::new(kept),
        },
        Some(version) => {
            let key = Key { version, question };
            let make = async { keep(next.run(request).await).await };
            shelf.answers.get(key, make).await
        }
    };
    let mut response = if kept.status != StatusCode::OK {
        (kept.status, kept.body.clone()).into_response()
    } else if has.is_some_and(|has| holds(&has, &kept.etag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        kept.body.clone().into_response()
    };
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.extend(kept.headers.clone());
    headers.insert(
        VARY,
        HeaderValue::from_static("accept, authorization, x-api-key"),
    );
    if kept.status == StatusCode::OK {
        headers.insert(ETAG, kept.etag.clone());
        let who = if caller.grant.is_anonymous() {
            "public"
        } else {
            "private"
        };
        let age = format!("{who}, max-age={}", shelf.max_age().await);
        if let Ok(age) = HeaderValue::from_str(&age) {
            headers.insert(CACHE_CONTROL, age);
        }
    }
    response
}

/// What is kept of a response: all of it that is not about who asked.
async fn keep(response: Response) -> Made<Kept> {
    let (parts, body) = response.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return Made::Passing(broken(&error)),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &parts.headers {
        if OWN.contains(&name.as_str()) {
            headers.append(name, value.clone());
        }
    }
    // What a 401 or 503 tells besides.
    if parts.status != StatusCode::OK {
        headers = parts.headers;
    }
    let mut hash = Sha256::new();
    for own in [CONTENT_TYPE, LINK] {
        hash.update(headers.get(own).map_or(&b""[..], HeaderValue::as_bytes));
    }
    hash.update(&body);
    let digest = hash.finalize();
    let number = u64::from_be_bytes(digest[..8].try_into().unwrap_or_default());
    // Weak: the same answer packed by gzip has other bytes.
    let etag = HeaderValue::from_str(&format!("W/\"{number:016x}\""));
    let kept = Kept {
        status: parts.status,
        headers,
        etag: etag.unwrap_or(HeaderValue::from_static("W/\"0\"")),
        body,
    };
    if kept.status == StatusCode::OK {
        Made::Lasting(kept)
    } else {
        Made::Passing(kept)
    }
}

fn broken(error: &dyn std::fmt::Display) -> Kept {
    let parts = Problem::internal(error).into_response().into_parts().0;
    Kept {
        status: parts.status,
        headers: parts.headers,
        etag: HeaderValue::from_static("W/\"0\""),
        body: Bytes::new(),
    }
}

/// Whether `If-None-Match` names an answer.
fn holds(header: &HeaderValue, etag: &HeaderValue) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let (Ok(tags), Ok(etag)) = (header.to_str(), etag.to_str()) else {
        return false;
    };
    tags.trim() == "*" || tags.split(',').any(|tag| weak(tag) == weak(etag))
}
