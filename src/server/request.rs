//! Checks a request's head and reads its body before the router sees it, so that a slow peer holds
//! none of the router's resources.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{
    CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use axum::response::IntoResponse;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use marketlake_http::request_id::{RequestId, X_REQUEST_ID};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::activity::Activity;
use super::connections::Connections;

/// Bytes of a body that are buffered without a permit.
const FREE_BODY_BYTES: usize = 16 << 10;

/// Answers the requests of one connection.
pub(super) struct RequestService {
    router: TowerToHyperService<Router>,
    peer: SocketAddr,
    activity: Arc<Activity>,
    connections: Arc<Connections>,
}

/// Error response of a request that does not reach the router.
struct Rejection {
    status: StatusCode,
    title: &'static str,
    detail: String,
}

impl RequestService {
    pub(super) fn new(
        router: Router,
        peer: SocketAddr,
        activity: &Arc<Activity>,
        connections: &Arc<Connections>,
    ) -> Self {
        Self {
            router: TowerToHyperService::new(router),
            peer,
            activity: Arc::clone(activity),
            connections: Arc::clone(connections),
        }
    }
}

impl Service<Request<Incoming>> for RequestService {
    type Response = Response<TrackedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.activity.request_began();
        let running = RequestGuard(Arc::clone(&self.activity));
        let (router, peer) = (self.router.clone(), self.peer);
        let connections = Arc::clone(&self.connections);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let body = match read(&mut parts, body, &connections).await {
                Ok(body) => body,
                Err(rejected) => {
                    let id = RequestId::new(&parts.headers);
                    return Ok(track(rejected.into_response(&id), running));
                }
            };
            let (bytes, _permit) = body;
            parts.extensions.insert(ConnectInfo(peer));
            let request = Request::from_parts(parts, Body::from(bytes));
            let response = router.call(request).await?;
            Ok(track(response, running))
        })
    }
}

type Buffered = (Bytes, Option<OwnedSemaphorePermit>);

/// The whole body of a request whose head is good.
async fn read(
    parts: &mut Parts,
    body: Incoming,
    connections: &Connections,
) -> Result<Buffered, Rejection> {
    check_head(parts)?;
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let max = connections.limits().max_body_bytes;
    if body.size_hint().lower() > max as u64 {
        return Err(Rejection::too_large(max));
    }
    read_body(body, connections).await
}

/// Rejects ambiguous heads, so that the router sees exactly one `Host` (HTTP/1.0: at most one) and
/// a path as target.
fn check_head(parts: &mut Parts) -> Result<(), Rejection> {
    let is_path = parts.uri.path().starts_with('/');
    if !is_path || parts.uri.authority().is_some() && parts.uri.scheme().is_none() {
        let detail = "the target: expected a path that begins with /";
        return Err(Rejection::bad_request(detail));
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Rejection::bad_request("Host: expected one, got several"));
    }
    if host.is_some_and(|host| !is_authority(host)) {
        return Err(Rejection::bad_request("Host: expected a name or address"));
    }
    if host.is_none() && parts.version != Version::HTTP_10 {
        return Err(Rejection::bad_request("Host: expected one, got none"));
    }
    check_coding(&parts.headers)?;
    // RFC 9112, section 3.2.2: an absolute target is to be accepted. It names the same host.
    if let Some(authority) = parts.uri.authority() {
        let own = authority.as_str().as_bytes();
        if !host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(own)) {
            let detail = "the target: expected the same host as in the header Host";
            return Err(Rejection::bad_request(detail));
        }
        let path = parts.uri.path_and_query().cloned();
        parts.uri = path.map_or_else(Uri::default, Uri::from);
    }
    Ok(())
}

/// Refuses a body whose end a proxy may see elsewhere (RFC 9112, section 6.3): hyper looks at the
/// last transfer coding only. A `Content-Length` beside one is dropped by hyper, which then closes
/// the connection.
fn check_coding(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        let detail = "Transfer-Encoding: expected chunked, once";
        return Err(Rejection::bad_request(detail));
    }
    Ok(())
}

fn is_authority(host: &HeaderValue) -> bool {
    !host.as_bytes().contains(&b'@') && Authority::try_from(host.as_bytes()).is_ok()
}

/// Reads a body to its end, within its bounds of size and time.
async fn read_body(mut body: Incoming, connections: &Connections) -> Result<Buffered, Rejection> {
    let limits = connections.limits();
    let deadline = Instant::now() + limits.body_timeout;
    let mut permit: Option<OwnedSemaphorePermit> = None;
    let mut read = BytesMut::new();
    loop {
        let next = deadline.min(Instant::now() + limits.header_timeout);
        let frame = match timeout_at(next, body.frame()).await {
            Err(_) => return Err(Rejection::timeout()),
            Ok(None) => return Ok((read.freeze(), permit)),
            Ok(Some(Err(_))) => return Err(Rejection::bad_request("the body: it is incomplete")),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = read.len() + data.len();
        if length > limits.max_body_bytes {
            return Err(Rejection::too_large(limits.max_body_bytes));
        }
        let held = permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = length.saturating_sub(FREE_BODY_BYTES).div_ceil(1 << 10);
        if needed > held {
            let more = u32::try_from(needed - held).unwrap_or(u32::MAX);
            let more = Arc::clone(&connections.buffers).try_acquire_many_owned(more);
            let more = more.map_err(|_| Rejection::overloaded())?;
            match &mut permit {
                Some(permit) => permit.merge(more),
                None => permit = Some(more),
            }
        }
        read.extend_from_slice(&data);
    }
}

impl Rejection {
    fn bad_request(detail: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            title: "Bad request",
            detail: detail.to_owned(),
        }
    }

    fn too_large(max: usize) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            title: "Body too large",
            detail: format!("the body: expected at most {max} bytes"),
        }
    }

    fn timeout() -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            title: "Request timeout",
            detail: "the body: not received in time".to_owned(),
        }
    }

    fn overloaded() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "Overloaded",
            detail: "too many large bodies are being sent at once; try again in a second"
                .to_owned(),
        }
    }
}

impl Rejection {
    fn into_response(self, id: &RequestId) -> Response<Body> {
        let Self {
            status,
            title,
            detail,
        } = self;
        tracing::debug!(id = id.as_str(), %status, detail, "request rejected");
        let body = json!({
            "type": "about:blank",
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
        });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        let set = HeaderValue::from_static;
        headers.insert(X_REQUEST_ID, id.header());
        headers.insert(CONTENT_TYPE, set("application/problem+json"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, set("nosniff"));
        // The rest of the request is not read.
        headers.insert(CONNECTION, set("close"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, set("1"));
        }
        response
    }
}

/// A request that is being answered, until it is dropped.
struct RequestGuard(Arc<Activity>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// A response's body; the request is answered when it is handed over whole.
pub(super) struct TrackedBody {
    body: Body,
    _running: RequestGuard,
}

fn track(response: Response<Body>, running: RequestGuard) -> Response<TrackedBody> {
    response.map(|body| TrackedBody {
        body,
        _running: running,
    })
}

impl hyper::body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
