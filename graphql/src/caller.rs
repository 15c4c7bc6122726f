//! The client of a request: its address, and what its key or token allows.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use marketlake_alerts::subscriptions::{Access, SignupRequester};

use crate::auth::{AuthError, Gate, Grant, Mode, Scope};
use crate::authority::RequestAuthority;
use crate::browser::Sites;
use crate::client_address::{self, TrustedProxies};
use crate::limits::Rate;
use crate::rest::Problem;

/// Points that a key or token costs which is not good.
pub(crate) const REFUSED_POINTS: u32 = 10;

/// The client of a request. In each request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Network address by which clients are limited.
    pub(crate) source: String,
    /// What the client may do.
    pub(crate) grant: Grant,
}

impl Caller {
    /// Whether the client is rate-limited; operators are not.
    pub(crate) fn is_limited(&self) -> bool {
        self.grant.is_anonymous() || self.grant.owner().is_some()
    }

    /// Subscriptions that the client may see and change by its key; none without one that says so.
    pub(crate) fn whose(&self) -> Option<Access<'_>> {
        if self.grant.may(Scope::Admin) {
            return Some(Access::All);
        }
        let owner = self.grant.owner()?;
        self.grant
            .may(Scope::Alerts)
            .then_some(Access::Owner(owner))
    }

    /// The client as one who requests a subscription.
    pub(crate) fn asker(&self) -> SignupRequester<'_> {
        SignupRequester {
            source: &self.source,
            owner: self.grant.owner(),
            idempotency_key: None,
        }
    }

    /// The account that requests are charged to.
    pub(crate) fn account(&self) -> &str {
        self.grant.owner().unwrap_or(&self.source)
    }
}

/// What it takes to identify clients.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) gate: Arc<Gate>,
    pub(crate) rate: Arc<Rate>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) sites: Arc<Sites>,
}

/// Identifies the client, by its address and by its key or token. A key or token that is not good
/// is refused, whatever is asked for, and costs its sender's address points; so that who tries many
/// is told to wait. What foreign pages have browsers send is refused too.
pub(crate) async fn know(State(door): State<Door>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match door.identify(&parts).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refused) => *refused,
    }
}

impl Door {
    async fn identify(&self, request: &Parts) -> Result<Caller, Box<Response>> {
        let refuse = |problem: Problem| Box::new(problem.into_response());
        let headers = &request.headers;
        let authority = RequestAuthority::of(&request.uri, headers).map_err(refuse)?;
        if self.gate.mode() == Mode::Open && !authority.is_this_machine() {
            let detail = "this server answers on this machine's own names only; behind a proxy it \
                needs auth.mode = \"keys\", server.public_url and server.trusted_proxies";
            let status = StatusCode::MISDIRECTED_REQUEST;
            return Err(refuse(Problem::of(status, "Wrong host", detail)));
        }
        let peer = peer(&request.extensions);
        let source = client_address::source(headers, peer, self.trusted_proxies);
        let grant = match self.gate.grant(headers).await {
            Ok(grant) => grant,
            Err(error) => return Err(Box::new(self.refused(&source, error))),
        };
        if grant.is_anonymous() && is_change(request) && self.sites.are_foreign(headers, &authority)
        {
            let detail = "pages of this origin may change nothing here";
            let problem = Problem::of(StatusCode::FORBIDDEN, "Not allowed", detail);
            return Err(refuse(problem));
        }
        Ok(Caller { source, grant })
    }

    /// The answer to who came with something that is not good.
    fn refused(&self, source: &str, error: AuthError) -> Response {
        if matches!(error, AuthError::Unavailable(_)) {
            return Problem::from(error).into_response();
        }
        match self.rate.charge_account(source, REFUSED_POINTS) {
            Ok(_) => Problem::from(error).into_response(),
            Err(emptied) => {
                let mut response = Problem::too_many_requests().into_response();
                emptied.tell(response.headers_mut());
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

/// The address of the other end of the connection.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(address)| address.ip().to_canonical())
}
