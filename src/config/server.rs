//! Settings of the HTTP server.

use marketlake_http::middleware::MAX_BODY_BYTES;
use marketlake_http::options::HttpLimits;

use super::proxy::ProxyHeader;
use super::section::section;
use super::types::{Checked, ConnectionTimeout, CorsOrigin, ListenAddress, Positive, PublicUrl};
use super::{ConfigError, Settings};
use crate::server::{ConnectionLimits, FileLimit, default_connections};

section! {
    /// HTTP server of the API and the pages. Behind a proxy:
    /// [reverse-proxy.md](reverse-proxy.md). Timeouts of connections are 1ms to 1h.
    Server {
        /// Listen address.
        listen: Checked<ListenAddress> = Checked::built_in("127.0.0.1:8080"),
        /// Public base URL, used in links of mails; the listen address by default.
        public_url: Option<Checked<PublicUrl>> = None,
        /// Number of trusted reverse proxies in front of the server.
        trusted_proxies: usize = 0,
        /// Header that carries the client's address: `x-forwarded-for` or `forwarded`; the other
        /// one is never read.
        forwarded_header: ProxyHeader = ProxyHeader::default(),
        /// Origins whose browser pages may call the API (CORS); `*`: all.
        cors_origins: Vec<Checked<CorsOrigin>> = Vec::new(),
        /// Points per minute of each key or network address; `0`: no limit.
        rate_limit_per_minute: u32 = HttpLimits::default().rate_limit_per_minute,
        /// Maximum number of concurrent requests; more get 503.
        max_requests: Positive = Positive::of(HttpLimits::default().max_requests),
        /// Maximum number of open WebSockets and event streams.
        max_streams: Positive = Positive::of(HttpLimits::default().max_streams),
        /// Maximum number of open WebSockets and event streams of each key or network address.
        max_streams_per_client: Positive =
            Positive::of(HttpLimits::default().max_streams_per_client),
        /// Maximum number of GraphQL requests in a batch; `0`: batches are refused.
        max_batch: usize = HttpLimits::default().max_batch,
        /// Size of the response cache of each API, in megabytes.
        cache_megabytes: u64 = HttpLimits::default().cache_bytes >> 20,
        /// Maximum size of a response before compression, in megabytes.
        max_response_megabytes: Positive =
            Positive::of(HttpLimits::default().max_response_bytes >> 20),
        /// Maximum number of open connections; at the limit the oldest idle one is closed for a
        /// new one. By default the limit of open files minus 512, at most 32768.
        max_connections: Option<Positive> = None,
        /// Maximum number of open connections of one IPv4 address or IPv6 /64; not counted behind
        /// `server.trusted_proxies`. By default a quarter of `max_connections`, at most 1024.
        max_connections_per_ip: Option<Positive> = None,
        /// Timeout for a request's headers, and for pauses within its body.
        header_timeout: ConnectionTimeout = ConnectionTimeout::secs(10),
        /// Timeout for a request's whole body.
        body_timeout: ConnectionTimeout = ConnectionTimeout::secs(30),
        /// Timeout for the next request on an open connection.
        idle_timeout: ConnectionTimeout = ConnectionTimeout::secs(75),
        /// Timeout for a client that reads nothing of a response.
        write_timeout: ConnectionTimeout = ConnectionTimeout::secs(30),
    }
}

impl Settings {
    /// Public base URL, used in links of mails.
    pub(crate) fn public_url(&self) -> String {
        match &self.server.public_url {
            Some(url) => url.raw().clone(),
            None => format!("http://{}", *self.server.listen),
        }
    }

    /// Origins whose browser pages may call the API.
    pub(crate) fn cors_origins(&self) -> Vec<String> {
        let origins = self.server.cors_origins.iter();
        origins.map(|origin| origin.raw().clone()).collect()
    }

    /// Limits of requests.
    pub(crate) fn limits(&self) -> HttpLimits {
        let server = &self.server;
        HttpLimits {
            rate_limit_per_minute: server.rate_limit_per_minute,
            max_requests: server.max_requests.get(),
            max_streams: server.max_streams.get(),
            max_batch: server.max_batch,
            cache_bytes: server.cache_megabytes.saturating_mul(1 << 20),
            max_response_bytes: server.max_response_megabytes.get().saturating_mul(1 << 20),
            max_streams_per_client: server.max_streams_per_client.get(),
        }
    }

    /// Limits of connections that `files` leaves enough descriptors for.
    pub(crate) fn connection_limits(
        &self,
        files: FileLimit,
    ) -> Result<ConnectionLimits, ConfigError> {
        let server = &self.server;
        let available = files.max_connections();
        let max_connections = match server.max_connections {
            None if available == 0 => {
                let FileLimit(files) = files;
                let problem = format!(
                    "the limit of open files is {files}, of which 512 are kept for other things: \
                     raise it (ulimit -n)"
                );
                return Err(ConfigError::setting("server.max_connections", "", problem));
            }
            None => default_connections(files),
            Some(max) if max.get() <= available => max.get(),
            Some(max) => {
                let problem = format!(
                    "expected 1 to {available}: the limit of open files minus 512 for other things"
                );
                let name = "server.max_connections";
                return Err(ConfigError::setting(name, &max.get().to_string(), problem));
            }
        };
        let per_ip = server.max_connections_per_ip.map_or_else(
            || ConnectionLimits::default_per_ip(max_connections),
            Positive::get,
        );
        Ok(ConnectionLimits {
            max_connections,
            max_connections_per_ip: (server.trusted_proxies == 0).then_some(per_ip),
            header_timeout: server.header_timeout.get(),
            body_timeout: server.body_timeout.get(),
            idle_timeout: server.idle_timeout.get(),
            write_timeout: server.write_timeout.get(),
            max_body_bytes: MAX_BODY_BYTES,
        })
    }
}
