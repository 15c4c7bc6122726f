//! Cache of responses until the next commit, with `ETag`, `Cache-Control` and 304
//! (RFC 9110, RFC 9111).

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

use crate::caller::Caller;
use crate::clock::RequestClock;
use crate::engine_header::ENGINE;
use crate::problem::Problem;
use crate::query_cache::{CacheKey, CacheWeight, Cacheable, QueryCache};

/// Usual delay between the end of a minute and its commit, in seconds.
const USUAL_DELAY: i64 = 3;
const MINUTE: i64 = 60;
/// Headers that are part of an answer.
const OWN: [&str; 4] = ["content-type", "link", "marketlake-simulated", ENGINE];

/// The responses that are kept.
pub struct ResponseCache {
    lake: Arc<Lake>,
    clock: Arc<RequestClock>,
    responses: QueryCache<CachedResponse>,
}

/// An answer.
struct CachedResponse {
    status: StatusCode,
    headers: HeaderMap,
    etag: HeaderValue,
    body: Bytes,
}

impl CacheWeight for CachedResponse {
    fn body(&self) -> &Bytes {
        &self.body
    }
}

impl ResponseCache {
    /// A cache of at most `max_bytes`, with its name in the metrics.
    #[must_use]
    pub fn new(
        name: &'static str,
        lake: &Arc<Lake>,
        clock: &Arc<RequestClock>,
        max_bytes: u64,
    ) -> Self {
        Self {
            lake: Arc::clone(lake),
            clock: Arc::clone(clock),
            responses: QueryCache::new(name, max_bytes),
        }
    }

    /// Seconds for which a response is surely the newest: until the next minute comes.
    async fn max_age(&self) -> i64 {
        match self.clock.now_within_timeout(&self.lake).await {
            Some(now) => {
                let seconds = now.0.div_euclid(1_000);
                let since = (seconds - USUAL_DELAY).rem_euclid(MINUTE);
                MINUTE - since
            }
            None => 0,
        }
    }
}

/// Serves responses from the cache while the lake has not changed.
pub async fn serve_cached(
    State(cache): State<Arc<ResponseCache>>,
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
    let cache_key = format!("{}\0{}", accept.unwrap_or_default(), request.uri());
    let kept = match cache.lake.recent_day().version() {
        None => match to_cached(next.run(request).await).await {
            Cacheable::Yes(kept) | Cacheable::No(kept) => Arc::new(kept),
        },
        Some(version) => {
            let key = CacheKey {
                version,
                request: cache_key,
            };
            let make = async { to_cached(next.run(request).await).await };
            cache.responses.get(key, make).await
        }
    };
    let mut response = if kept.status != StatusCode::OK {
        (kept.status, kept.body.clone()).into_response()
    } else if has.is_some_and(|has| etag_matches(&has, &kept.etag)) {
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
        let who = if caller.permissions.is_anonymous() {
            "public"
        } else {
            "private"
        };
        let age = format!("{who}, max-age={}", cache.max_age().await);
        if let Ok(age) = HeaderValue::from_str(&age) {
            headers.insert(CACHE_CONTROL, age);
        }
    }
    response
}

/// The cacheable part of a response: all that does not depend on the client.
async fn to_cached(response: Response) -> Cacheable<CachedResponse> {
    let (parts, body) = response.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return Cacheable::No(broken(&error)),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &parts.headers {
        if OWN.contains(&name.as_str()) {
            headers.append(name, value.clone());
        }
    }
    // Errors keep all headers, like those of a 401 or 503.
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
    let kept = CachedResponse {
        status: parts.status,
        headers,
        etag: etag.unwrap_or(HeaderValue::from_static("W/\"0\"")),
        body,
    };
    if kept.status == StatusCode::OK {
        Cacheable::Yes(kept)
    } else {
        Cacheable::No(kept)
    }
}

fn broken(error: &dyn std::fmt::Display) -> CachedResponse {
    let parts = Problem::internal(error).into_response().into_parts().0;
    CachedResponse {
        status: parts.status,
        headers: parts.headers,
        etag: HeaderValue::from_static("W/\"0\""),
        body: Bytes::new(),
    }
}

/// Whether `If-None-Match` names an answer.
fn etag_matches(header: &HeaderValue, etag: &HeaderValue) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let (Ok(tags), Ok(etag)) = (header.to_str(), etag.to_str()) else {
        return false;
    };
    tags.trim() == "*" || tags.split(',').any(|tag| weak(tag) == weak(etag))
}
