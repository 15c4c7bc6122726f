//! Settings of the catalog's database.

use std::time::Duration;

use marketlake_common::SecretUrl;
use marketlake_entities::database::PoolOptions;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Bounds of a pool's size. With one connection a transaction would wait for a statement beside it.
const CONNECTIONS: std::ops::RangeInclusive<u32> = 2..=500;
const MIN_ACQUIRE_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_STATEMENT_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Database of the catalog and the records. Each process has one connection pool for each role.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Database {
    /// `sqlite://FILE` or `postgres://..`; a file below `data` by default.
    pub(crate) url: Option<SecretUrl>,
    /// Maximum number of connections of the HTTP API.
    pub(crate) api_max_connections: u32,
    /// Maximum number of connections of the scheduler and its jobs.
    pub(crate) jobs_max_connections: u32,
    /// Maximum number of connections of the delivery of alerts.
    pub(crate) delivery_max_connections: u32,
    /// Timeout of jobs and deliveries waiting for a connection, like 10s.
    pub(crate) acquire_timeout: String,
    /// Timeout of requests waiting for a connection.
    pub(crate) api_acquire_timeout: String,
    /// Timeout of a request's statements, enforced by Postgres; 0s: none.
    pub(crate) api_statement_timeout: String,
}

/// Connection pools of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    Api,
    Jobs,
    Delivery,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: None,
            api_max_connections: 16,
            jobs_max_connections: 16,
            delivery_max_connections: 8,
            acquire_timeout: "10s".to_owned(),
            api_acquire_timeout: "2s".to_owned(),
            api_statement_timeout: "5s".to_owned(),
        }
    }
}

impl Database {
    /// Size and timeouts of a pool.
    pub(crate) fn pool(&self, pool: Pool) -> Result<PoolOptions, ConfigError> {
        let (name, max_connections) = match pool {
            Pool::Api => ("api_max_connections", self.api_max_connections),
            Pool::Jobs => ("jobs_max_connections", self.jobs_max_connections),
            Pool::Delivery => ("delivery_max_connections", self.delivery_max_connections),
        };
        if !CONNECTIONS.contains(&max_connections) {
            let (min, max) = CONNECTIONS.into_inner();
            let problem = format!("expected a number from {min} to {max}");
            let name = format!("database.{name}");
            return Err(ConfigError::setting(
                &name,
                &max_connections.to_string(),
                problem,
            ));
        }
        let acquire_timeout = match pool {
            Pool::Api => acquire("api_acquire_timeout", &self.api_acquire_timeout),
            Pool::Jobs | Pool::Delivery => acquire("acquire_timeout", &self.acquire_timeout),
        };
        let acquire_timeout = acquire_timeout?;
        Ok(PoolOptions {
            max_connections,
            refused_timeout: acquire_timeout,
            acquire_timeout,
            statement_timeout: match pool {
                Pool::Api => self.statement_timeout()?,
                Pool::Jobs | Pool::Delivery => None,
            },
        })
    }

    fn statement_timeout(&self) -> Result<Option<Duration>, ConfigError> {
        let text = &self.api_statement_timeout;
        match humantime::parse_duration(text) {
            Ok(Duration::ZERO) => Ok(None),
            Ok(time) if time >= Duration::from_millis(1) && time <= MAX_STATEMENT_TIMEOUT => {
                Ok(Some(time))
            }
            _ => Err(ConfigError::setting(
                "database.api_statement_timeout",
                text,
                "expected a time up to 1h like 5s, or 0s for no limit",
            )),
        }
    }
}

fn acquire(name: &str, text: &str) -> Result<Duration, ConfigError> {
    let limits = MIN_ACQUIRE_TIMEOUT..=MAX_ACQUIRE_TIMEOUT;
    let parsed = humantime::parse_duration(text).ok();
    parsed.filter(|time| limits.contains(time)).ok_or_else(|| {
        let problem = "expected a time from 100ms to 60s";
        ConfigError::setting(&format!("database.{name}"), text, problem)
    })
}
