//! Bounds of connections, and the process's limit of open files.

use std::time::Duration;

/// Descriptors that connections leave to databases, files and outgoing requests.
pub(crate) const RESERVED_FILES: usize = 512;
/// Default maximum number of connections, if the limit of open files allows more.
const DEFAULT_MAX_CONNECTIONS: usize = 32_768;
const DEFAULT_MAX_CONNECTIONS_PER_IP: usize = 1_024;
/// Maximum number of connections for health and metrics, from the reserved files.
const MAX_OPERATIONS_CONNECTIONS: usize = 64;
/// Assumed limit if the system does not report one.
#[cfg(not(unix))]
const ASSUMED_FILES: usize = 8_192;

/// Bounds of the connections of all listeners that share them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Open connections in all.
    pub(crate) max_connections: usize,
    /// Open connections of one IPv4 address or IPv6 /64; `None` where the peers are proxies.
    pub(crate) max_connections_per_ip: Option<usize>,
    /// From the first byte of a request, or the opening of a connection, to the end of the
    /// headers; also the longest pause within a body.
    pub(crate) header_timeout: Duration,
    /// From the end of the headers to the end of the body.
    pub(crate) body_timeout: Duration,
    /// From the end of a response to the first byte of the next request.
    pub(crate) idle_timeout: Duration,
    /// Without the peer taking a byte of a response.
    pub(crate) write_timeout: Duration,
    /// Bytes of a request's body.
    pub(crate) max_body_bytes: usize,
}

/// The limit of open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileLimit(pub(crate) usize);

impl FileLimit {
    /// Raises the soft limit to the hard one, as far as the system allows, and reads it.
    #[cfg(unix)]
    pub(crate) fn raise() -> Self {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if limit.current != limit.maximum
            && let Err(error) = setrlimit(Resource::Nofile, raised)
        {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
        let current = getrlimit(Resource::Nofile).current;
        Self(current.map_or(usize::MAX, |files| {
            usize::try_from(files).unwrap_or(usize::MAX)
        }))
    }

    #[cfg(not(unix))]
    pub(crate) fn raise() -> Self {
        Self(ASSUMED_FILES)
    }

    /// The most connections that leave enough descriptors for everything else.
    pub(crate) fn max_connections(self) -> usize {
        self.0.saturating_sub(RESERVED_FILES)
    }
}

/// Default limits of connections.
pub(crate) fn default_connections(files: FileLimit) -> usize {
    files.max_connections().min(DEFAULT_MAX_CONNECTIONS)
}

impl ConnectionLimits {
    /// Of the listener for operators, whose own connections no stranger's take away.
    pub(crate) fn of_operations(self) -> Self {
        Self {
            max_connections: MAX_OPERATIONS_CONNECTIONS,
            max_connections_per_ip: None,
            ..self
        }
    }

    /// Connections of one address where nothing is set: a quarter of all, at most 1,024.
    pub(crate) fn default_per_ip(max_connections: usize) -> usize {
        (max_connections / 4).clamp(1, DEFAULT_MAX_CONNECTIONS_PER_IP)
    }
}
