//! Settings of the catalog's database.

use std::time::Duration;

use marketlake_common::SecretUrl;
use marketlake_entities::database::PoolOptions;

use super::section::section;
use super::types::{Count, Period};

/// Size of a pool. With one connection a transaction would wait for a statement beside it.
type PoolSize = Count<2, 500>;
type AcquireTimeout = Period<100, 60_000>;
type StatementTimeout = Period<0, 3_600_000>;

section! {
    /// Catalog and records: [database.md](database.md). Each process has one connection pool for
    /// each role, of 2 to 500 connections.
    Database {
        /// `sqlite://FILE` or `postgres://user:password@host:5432/name` (15 or later); the file
        /// `marketlake.db` in `data` by default.
        url: Option<SecretUrl> = None,
        /// Maximum number of connections of the HTTP API.
        api_max_connections: PoolSize = PoolSize::new(16),
        /// Maximum number of connections of the scheduler and its jobs.
        jobs_max_connections: PoolSize = PoolSize::new(16),
        /// Maximum number of connections of the delivery of alerts.
        delivery_max_connections: PoolSize = PoolSize::new(8),
        /// Timeout of jobs and deliveries waiting for a connection; 100ms to 60s.
        acquire_timeout: AcquireTimeout = AcquireTimeout::secs(10),
        /// Timeout of requests waiting for a connection; 100ms to 60s.
        api_acquire_timeout: AcquireTimeout = AcquireTimeout::secs(2),
        /// Timeout of a request's statements, enforced by Postgres; up to 1h; `0s`: none.
        api_statement_timeout: StatementTimeout = StatementTimeout::secs(5),
    }
}

/// Connection pools of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    Api,
    Jobs,
    Delivery,
}

impl Database {
    /// Size and timeouts of a pool.
    pub(crate) fn pool(&self, pool: Pool) -> PoolOptions {
        let (size, acquire_timeout, statement_timeout) = match pool {
            Pool::Api => (
                self.api_max_connections,
                self.api_acquire_timeout,
                self.api_statement_timeout.get(),
            ),
            Pool::Jobs => (
                self.jobs_max_connections,
                self.acquire_timeout,
                Duration::ZERO,
            ),
            Pool::Delivery => (
                self.delivery_max_connections,
                self.acquire_timeout,
                Duration::ZERO,
            ),
        };
        PoolOptions {
            max_connections: size.get_u32(),
            refused_timeout: acquire_timeout.get(),
            acquire_timeout: acquire_timeout.get(),
            statement_timeout: (!statement_timeout.is_zero()).then_some(statement_timeout),
        }
    }
}
