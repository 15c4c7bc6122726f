//! Settings of the HTTP APIs.

use marketlake_alerts::subscriptions::SignupLimits;
use marketlake_common::Health;
use tokio_util::sync::CancellationToken;

use crate::auth::options::AuthOptions;
use crate::client_address::TrustedProxies;

/// Settings of the HTTP APIs.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Limits of subscriptions that one client or address may request.
    pub signup_limits: SignupLimits,
    /// The most metrics that one subscription may mean.
    pub max_metrics: usize,
    /// Trusted proxies in front of the server.
    pub trusted_proxies: TrustedProxies,
    /// Settings of authentication.
    pub auth: AuthOptions,
    /// Limits of requests.
    pub limits: HttpLimits,
    /// Origins whose pages may send requests (CORS); `*` stands for all.
    pub cors_origins: Vec<String>,
    /// Origin of the server's public address, where one is configured.
    pub public_origin: Option<String>,
    /// Whether the server is reached by https, so that browsers may be told to use nothing else.
    pub is_https: bool,
    /// Whether clients of the operations listener on this machine may read `/metrics` without a
    /// key.
    pub metrics_without_key: bool,
    /// Health of the process, as `/readyz` and `/healthz?verbose` show it.
    pub health: Health,
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
}

/// Limits of requests.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Points a minute of each key or network address; 0: no limit.
    pub rate_limit_per_minute: u32,
    /// Requests that run at the same time; more are refused.
    pub max_requests: usize,
    /// WebSockets and event streams open at once.
    pub max_streams: usize,
    /// GraphQL requests of a batch; 0: there are no batches.
    pub max_batch: usize,
    /// Size of the cache of each API, in bytes.
    pub cache_bytes: u64,
    /// Bytes of a response, before it is compressed.
    pub max_response_bytes: usize,
    /// WebSockets and event streams open at once of each key, or network address.
    pub max_streams_per_client: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            signup_limits: SignupLimits::default(),
            max_metrics: 10_000,
            trusted_proxies: TrustedProxies::default(),
            auth: AuthOptions::default(),
            limits: HttpLimits::default(),
            cors_origins: Vec::new(),
            public_origin: None,
            is_https: false,
            metrics_without_key: false,
            health: Health::default(),
            stop: CancellationToken::new(),
        }
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            rate_limit_per_minute: 6_000,
            max_requests: 256,
            max_streams: 20_000,
            max_batch: 0,
            cache_bytes: 64 << 20,
            max_response_bytes: 64 << 20,
            max_streams_per_client: 1_000,
        }
    }
}
