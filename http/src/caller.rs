//! The client of a request: its network address, and what its key or token allows.

use axum::Extension;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use marketlake_alerts::subscriptions::{Access, SignupRequester};

use crate::auth::permissions::Permissions;
use crate::auth::scope::Scope;
use crate::problem::Problem;

/// The client of a request. In each request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Network address by which clients are limited.
    pub source: String,
    /// Scopes of the client.
    pub permissions: Permissions,
}

impl Caller {
    /// Whether the client is rate-limited; operators are not.
    pub fn is_limited(&self) -> bool {
        self.permissions.is_anonymous() || self.permissions.owner().is_some()
    }

    /// Subscriptions that the client may see and change by its key; none without one that says so.
    pub fn subscription_access(&self) -> Option<Access<'_>> {
        if self.permissions.allows(Scope::Admin) {
            return Some(Access::All);
        }
        let owner = self.permissions.owner()?;
        self.permissions
            .allows(Scope::Alerts)
            .then_some(Access::Owner(owner))
    }

    /// The client as the requester of a subscription.
    pub fn subscription_requester(&self) -> SignupRequester<'_> {
        SignupRequester {
            source: &self.source,
            owner: self.permissions.owner(),
            idempotency_key: None,
        }
    }

    /// The account that requests are charged to.
    pub fn account(&self) -> &str {
        self.permissions.owner().unwrap_or(&self.source)
    }
}

/// Refuses requests of clients that may not read.
pub async fn require_read(
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    match caller.permissions.require(Scope::Read) {
        Ok(()) => next.run(request).await,
        Err(denied) => Problem::from(denied).into_response(),
    }
}
