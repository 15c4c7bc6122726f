//! Identification of clients: middleware that adds the [`Caller`] to each request.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::auth::authenticator::Authenticator;
use crate::auth::error::AuthError;
use crate::auth::options::AuthMode;
use crate::authority::RequestAuthority;
use crate::caller::Caller;
use crate::client_address::{self, TrustedProxies, peer};
use crate::csrf::TrustedOrigins;
use crate::limits::rate_limiter::RateLimiter;
use crate::problem::Problem;

/// Points that an invalid key or token costs.
pub const FAILED_AUTH_POINTS: u32 = 10;

/// State of [`identify_caller`].
#[derive(Clone)]
pub struct CallerLayer {
    /// Authenticates requests.
    pub authenticator: Arc<Authenticator>,
    /// Charges clients whose key or token is invalid.
    pub rate_limiter: Arc<RateLimiter>,
    /// Proxies whose forwarding headers count.
    pub trusted_proxies: TrustedProxies,
    /// Origins whose pages may send requests that change something.
    pub trusted_origins: Arc<TrustedOrigins>,
}

/// Identifies the client by its address and by its key or token. An invalid key or token is
/// refused, whatever the request, and costs its sender's address points: guessing is rate-limited.
/// Requests that foreign pages make browsers send are refused too.
pub async fn identify_caller(
    State(layer): State<CallerLayer>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match layer.identify(&parts).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refused) => *refused,
    }
}

impl CallerLayer {
    async fn identify(&self, request: &Parts) -> Result<Caller, Box<Response>> {
        let refuse = |problem: Problem| Box::new(problem.into_response());
        let headers = &request.headers;
        let authority = RequestAuthority::of(&request.uri, headers).map_err(refuse)?;
        if self.authenticator.mode() == AuthMode::Open && !authority.is_this_machine() {
            let detail = "this server accepts only this machine's own names; behind a proxy it \
                needs auth.mode = \"keys\", server.public_url and server.trusted_proxies";
            let status = StatusCode::MISDIRECTED_REQUEST;
            return Err(refuse(Problem::new(status, "Wrong host", detail)));
        }
        let peer = peer(&request.extensions);
        let source = client_address::ip_prefix(headers, peer, self.trusted_proxies);
        let permissions = match self.authenticator.permissions(headers).await {
            Ok(permissions) => permissions,
            Err(error) => return Err(Box::new(self.refused(&source, error))),
        };
        if permissions.is_anonymous()
            && is_change(request)
            && self.trusted_origins.is_cross_site(headers, &authority)
        {
            let detail = "pages of this origin may not send requests that change something";
            let problem = Problem::new(StatusCode::FORBIDDEN, "Not allowed", detail);
            return Err(refuse(problem));
        }
        Ok(Caller {
            source,
            permissions,
        })
    }

    /// Response to a client with an invalid key or token.
    fn refused(&self, source: &str, error: AuthError) -> Response {
        if matches!(error, AuthError::Unavailable(_)) {
            return Problem::from(error).into_response();
        }
        match self.rate_limiter.charge_account(source, FAILED_AUTH_POINTS) {
            Ok(_) => Problem::from(error).into_response(),
            Err(rate_limited) => {
                let mut response = Problem::too_many_requests().into_response();
                rate_limited.write_headers(response.headers_mut());
                response
            }
        }
    }
}

/// Whether a request may change something, or opens a WebSocket, over which one may.
fn is_change(request: &Parts) -> bool {
    let is_safe = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    !is_safe || request.headers.contains_key("upgrade")
}
