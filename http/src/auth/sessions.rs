//! Sockets and streams that were opened by a key or token: they end when it does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use marketlake_lake::Lake;
use marketlake_model::Millis;
use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::permissions::{Credential, Permissions};
use crate::clock::RequestClock;

/// The longest sleep until an expiry, after which the clock is looked at again.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// Open sessions, by the key that opened them.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Credential, Open>>);

#[derive(Default)]
struct Open {
    count: usize,
    revoked: CancellationToken,
}

/// One socket or stream.
pub struct Session {
    sessions: Arc<Sessions>,
    credential: Credential,
    revoked: CancellationToken,
    expires_at: Option<Millis>,
    clock: Arc<RequestClock>,
    lake: Arc<Lake>,
}

/// Reason why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The key was revoked, or the operator key replaced.
    Revoked,
    /// The key or token has expired.
    Expired,
}

impl SessionEnd {
    /// Reason as shown to clients.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Revoked => "the key was revoked",
            Self::Expired => "the key or token has expired",
        }
    }
}

impl Sessions {
    pub(crate) fn open(
        self: &Arc<Self>,
        permissions: &Permissions,
        clock: &Arc<RequestClock>,
        lake: &Arc<Lake>,
    ) -> Session {
        let credential = permissions.credential().clone();
        let revoked = {
            let mut all = self.0.lock();
            let open = all.entry(credential.clone()).or_default();
            open.count += 1;
            open.revoked.clone()
        };
        Session {
            sessions: Arc::clone(self),
            credential,
            revoked,
            expires_at: permissions.expires_at(),
            clock: Arc::clone(clock),
            lake: Arc::clone(lake),
        }
    }

    /// The keys by which something is open.
    pub(crate) fn credentials(&self) -> Vec<Credential> {
        self.0.lock().keys().cloned().collect()
    }

    /// Ends all that is open by a key.
    pub(crate) fn revoke(&self, credential: &Credential) {
        if let Some(open) = self.0.lock().get(credential) {
            open.revoked.cancel();
        }
    }
}

impl Session {
    /// Waits until the key or token is no longer valid; for ever where there is none.
    pub async fn ended(&self) -> SessionEnd {
        tokio::select! {
            () = self.revoked.cancelled() => SessionEnd::Revoked,
            () = self.expired() => SessionEnd::Expired,
        }
    }

    async fn expired(&self) {
        let Some(end) = self.expires_at else {
            return std::future::pending().await;
        };
        loop {
            // Checked again if the database cannot tell the time.
            let left = match self.clock.now(&self.lake).await {
                Some(now) if now >= end => return,
                Some(now) => Duration::from_millis(end.0.abs_diff(now.0)),
                None => Duration::from_secs(1),
            };
            sleep(left.min(MAX_SLEEP)).await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut all = self.sessions.0.lock();
        if let Some(open) = all.get_mut(&self.credential) {
            open.count -= 1;
            if open.count == 0 {
                all.remove(&self.credential);
            }
        }
    }
}
