//! Size and timeouts of a pool of connections.

use std::time::Duration;

/// Size and timeouts of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Maximum number of connections; they are opened on demand.
    pub max_connections: u32,
    /// Timeout of a statement waiting for a free connection.
    pub acquire_timeout: Duration,
    /// Time for which a server that refuses connections, or has no socket, is tried again at the
    /// start.
    pub refused_timeout: Duration,
    /// After which Postgres cancels a statement; `None`: never. `SQLite` knows no such limit.
    pub statement_timeout: Option<Duration>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(10),
            refused_timeout: Duration::from_secs(10),
            statement_timeout: None,
        }
    }
}
