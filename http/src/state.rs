//! State that the handlers and routers of all APIs share.

use std::sync::Arc;

use marketlake_alerts::AlertError;
use marketlake_alerts::subscriptions::SignupLimits;
use marketlake_lake::Lake;
use marketlake_model::Millis;

use crate::auth::authenticator::Authenticator;
use crate::clock::RequestClock;
use crate::csrf::TrustedOrigins;
use crate::identification::CallerLayer;
use crate::limits::load_shed::LoadShedder;
use crate::limits::rate_limiter::RateLimiter;
use crate::options::HttpOptions;

/// State of the handlers.
#[derive(Clone)]
pub struct AppState {
    /// The lake that requests read.
    pub lake: Arc<Lake>,
    /// Limits of subscriptions that one client or address may request.
    pub signup_limits: SignupLimits,
    /// The most metrics that one subscription may match.
    pub max_metrics: usize,
}

impl AppState {
    /// Time of a request that changes or evaluates something, by the clock that all processes
    /// share.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn now(&self) -> Result<Millis, AlertError> {
        Ok(self.lake.now().await?)
    }
}

/// Parts from which the routers of all APIs are built.
#[derive(Clone)]
pub struct ApiContext {
    /// State of the handlers.
    pub state: AppState,
    /// Authenticates requests.
    pub authenticator: Arc<Authenticator>,
    /// Limits requests of each client.
    pub rate_limiter: Arc<RateLimiter>,
    /// The database's clock.
    pub clock: Arc<RequestClock>,
    /// Limits requests that run at the same time.
    pub load_shedder: LoadShedder,
    /// Settings of the HTTP APIs.
    pub options: HttpOptions,
}

impl ApiContext {
    /// Builds the parts over a lake.
    #[must_use]
    pub fn new(lake: &Arc<Lake>, authenticator: Arc<Authenticator>, options: HttpOptions) -> Self {
        Self {
            state: AppState {
                lake: Arc::clone(lake),
                signup_limits: options.signup_limits,
                max_metrics: options.max_metrics,
            },
            authenticator,
            rate_limiter: Arc::new(RateLimiter::new(options.limits.rate_limit_per_minute)),
            clock: Arc::default(),
            load_shedder: LoadShedder::new(options.limits.max_requests),
            options,
        }
    }

    /// State of the middleware that identifies clients.
    #[must_use]
    pub fn caller_layer(&self) -> CallerLayer {
        CallerLayer {
            authenticator: Arc::clone(&self.authenticator),
            rate_limiter: Arc::clone(&self.rate_limiter),
            trusted_proxies: self.options.trusted_proxies,
            trusted_origins: Arc::new(TrustedOrigins {
                own: self.options.public_origin.clone(),
                allowed: self.options.cors_origins.clone(),
            }),
        }
    }
}
