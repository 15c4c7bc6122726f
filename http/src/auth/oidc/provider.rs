//! Fetches a provider's keys in the background: at the start, each hour, and where a token names
//! one that is not known, but not more often than each half minute, however many tokens do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use marketlake_common::{backoff, reason};
use moka::future::Cache;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::keys::{KeySet, VerifyingKey};
use super::settings::OidcSettings;
use crate::auth::error::AuthError;

/// Timeout of discovery and keys together.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
const REFRESH_INTERVAL: Duration = Duration::from_secs(3_600);
/// Between two fetches that tokens cause.
const MIN_INTERVAL: Duration = Duration::from_secs(30);
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// Longest wait of a request for a fetch, and the number of requests that may wait.
const MAX_WAIT: Duration = Duration::from_secs(2);
const MAX_WAITING: usize = 64;
/// Time for which a key that a fetch did not bring is taken to be unknown.
const UNKNOWN_TTL: Duration = Duration::from_secs(60);
const MAX_UNKNOWN: u64 = 10_000;
const MAX_BODY_BYTES: usize = 256 << 10;

/// A provider, and its keys as last fetched.
pub(crate) struct Provider {
    settings: OidcSettings,
    http: reqwest::Client,
    state: Mutex<State>,
    /// Ids that no fetch brought.
    unknown: Cache<String, ()>,
    wanted: Notify,
    ended: watch::Sender<u64>,
    waiting: Semaphore,
}

#[derive(Default)]
struct State {
    /// Kept while the provider is away: old keys are better than none.
    keys: Option<Arc<KeySet>>,
    /// Time at which the last fetch began.
    begun: Option<Instant>,
    is_running: bool,
    /// Fetches that failed one after the other.
    failures: u32,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Provider {
    pub(crate) fn new(settings: OidcSettings) -> Self {
        let http = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap_or_default();
        Self {
            settings,
            http,
            state: Mutex::default(),
            unknown: Cache::builder()
                .max_capacity(MAX_UNKNOWN)
                .time_to_live(UNKNOWN_TTL)
                .build(),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Keeps the keys fresh until it is stopped. There is one such task, so one fetch at a time.
    pub(crate) async fn refresh(&self, stop: CancellationToken) {
        loop {
            let pause = tokio::select! {
                pause = self.fetch() => pause,
                () = stop.cancelled() => return,
            };
            tokio::select! {
                () = sleep(pause) => (),
                () = self.wanted.notified() => (),
                () = stop.cancelled() => return,
            }
        }
    }

    /// The keys of an id.
    pub(crate) async fn find(&self, id: &str) -> Result<Arc<Vec<VerifyingKey>>, AuthError> {
        if let Some(keys) = self.known(id) {
            return Ok(keys);
        }
        if self.unknown.contains_key(id) {
            return Err(AuthError::invalid_token("its key is not known"));
        }
        let Ok(_permit) = self.waiting.try_acquire() else {
            return Err(AuthError::Busy);
        };
        let mut ended = self.ended.subscribe();
        if self.want() {
            let _ = timeout(MAX_WAIT, ended.changed()).await;
        }
        if let Some(keys) = self.known(id) {
            return Ok(keys);
        }
        let is_current = {
            let state = self.state.lock();
            state.keys.is_some() && state.failures == 0 && !state.is_running
        };
        if !is_current {
            return Err(AuthError::Busy);
        }
        self.unknown.insert(id.to_owned(), ()).await;
        Err(AuthError::invalid_token("its key is not known"))
    }

    fn known(&self, id: &str) -> Option<Arc<Vec<VerifyingKey>>> {
        self.state.lock().keys.as_ref()?.find(id)
    }

    /// Requests a fetch where one is due. Returns whether there is one to wait for.
    fn want(&self) -> bool {
        let state = self.state.lock();
        let is_due = state
            .begun
            .is_none_or(|begun| begun.elapsed() >= MIN_INTERVAL);
        if is_due && !state.is_running {
            self.wanted.notify_one();
        }
        is_due || state.is_running
    }

    /// Fetches once; the pause until the next time.
    async fn fetch(&self) -> Duration {
        {
            let mut state = self.state.lock();
            state.begun = Some(Instant::now());
            state.is_running = true;
        }
        let fetched = timeout(FETCH_TIMEOUT, self.fetch_keys()).await;
        let fetched = fetched.unwrap_or_else(|_| {
            let seconds = FETCH_TIMEOUT.as_secs();
            Err(format!(
                "{}: no answer within {seconds} s",
                self.settings.issuer
            ))
        });
        let mut state = self.state.lock();
        state.is_running = false;
        let pause = match fetched {
            Ok(keys) => {
                if state.failures > 0 {
                    tracing::info!(
                        keys = keys.len(),
                        "the identity provider's keys are available again"
                    );
                }
                state.failures = 0;
                state.keys = Some(Arc::new(keys));
                REFRESH_INTERVAL
            }
            Err(error) => {
                if state.failures == 0 {
                    let has_keys = state.keys.is_some();
                    tracing::warn!(
                        error,
                        has_keys,
                        "the identity provider's keys cannot be fetched, trying again until they \
                         can"
                    );
                }
                state.failures = state.failures.saturating_add(1);
                backoff(INITIAL_BACKOFF, MAX_BACKOFF, state.failures, rand::random())
            }
        };
        drop(state);
        self.ended.send_modify(|fetches| *fetches += 1);
        pause
    }

    async fn fetch_keys(&self) -> Result<KeySet, String> {
        let url = match &self.settings.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let body = self.get(&url).await?;
        KeySet::parse(&body).map_err(|error| format!("{url}: expected a JWK Set: {error}"))
    }

    async fn discover(&self) -> Result<String, String> {
        let issuer = &self.settings.issuer;
        let place = ".well-known/openid-configuration";
        let url = format!("{}/{place}", issuer.trim_end_matches('/'));
        let body = self.get(&url).await?;
        let found: Discovery = serde_json::from_slice(&body)
            .map_err(|error| format!("{url}: expected a provider's description: {error}"))?;
        if found.issuer != *issuer {
            let other = found.issuer;
            return Err(format!("{url}: expected the issuer {issuer}, got {other}"));
        }
        if !is_confidential(&found.jwks_uri) {
            let other = found.jwks_uri;
            return Err(format!("{url}: jwks_uri: expected https://, got {other}"));
        }
        Ok(found.jwks_uri)
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let failed = |error: &reqwest::Error| format!("{url}: {}", reason(error));
        let response = self.http.get(url).send().await;
        let response = response.and_then(reqwest::Response::error_for_status);
        let mut response = response.map_err(|error| failed(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(format!("{url}: expected at most {MAX_BODY_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Keys that come unencrypted could be forged.
fn is_confidential(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}
