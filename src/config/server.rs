//! Settings of the HTTP server.

use std::ops::RangeInclusive;
use std::time::Duration;

use marketlake_http::middleware::MAX_BODY_BYTES;
use marketlake_http::options::HttpLimits;
use serde::{Deserialize, Serialize};
use url::Url;

use super::proxy::ProxyHeader;
use super::times::duration;
use super::{ConfigError, Settings};
use crate::server::{ConnectionLimits, FileLimit, default_connections};

/// Bounds of connection timeouts.
const CONNECTION_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3_600);

/// HTTP server.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    pub(crate) listen: String,
    /// Public base URL, used in links of mails; the listen address by default.
    pub(crate) public_url: Option<String>,
    /// Number of trusted reverse proxies in front of the server.
    pub(crate) trusted_proxies: usize,
    /// Header that carries the client's address; the other one is never read.
    pub(crate) forwarded_header: ProxyHeader,
    /// Origins whose browser pages may call the API (CORS); `*`: all.
    pub(crate) cors_origins: Vec<String>,
    /// Points per minute of each key or network address; 0: no limit.
    pub(crate) rate_limit_per_minute: u32,
    /// Maximum number of concurrent requests; more get 503.
    pub(crate) max_requests: usize,
    /// Maximum number of open WebSockets and event streams.
    pub(crate) max_streams: usize,
    /// Maximum number of GraphQL requests in a batch; 0: batches are refused.
    pub(crate) max_batch: usize,
    /// Size of the response cache of each API, in megabytes.
    pub(crate) cache_megabytes: u64,
    /// Maximum size of a response before compression, in megabytes.
    pub(crate) max_response_megabytes: usize,
    /// Maximum number of open WebSockets and event streams of each key or network address.
    pub(crate) max_streams_per_client: usize,
    /// Maximum number of open connections; by default the limit of open files minus 512, at most
    /// 32,768.
    pub(crate) max_connections: Option<usize>,
    /// Maximum number of open connections of one IPv4 address or IPv6 /64; by default a quarter of
    /// all, at most 1,024. Not counted behind `trusted_proxies`, whose address all have.
    pub(crate) max_connections_per_ip: Option<usize>,
    /// Timeout for a request's headers, like 10s.
    pub(crate) header_timeout: String,
    /// Timeout for a request's body.
    pub(crate) body_timeout: String,
    /// Timeout for the next request on an open connection.
    pub(crate) idle_timeout: String,
    /// Timeout for a client that reads nothing of a response.
    pub(crate) write_timeout: String,
}

impl Default for Server {
    fn default() -> Self {
        let limits = HttpLimits::default();
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: None,
            trusted_proxies: 0,
            forwarded_header: ProxyHeader::default(),
            cors_origins: Vec::new(),
            rate_limit_per_minute: limits.rate_limit_per_minute,
            max_requests: limits.max_requests,
            max_streams: limits.max_streams,
            max_batch: limits.max_batch,
            cache_megabytes: limits.cache_bytes >> 20,
            max_response_megabytes: limits.max_response_bytes >> 20,
            max_streams_per_client: limits.max_streams_per_client,
            max_connections: None,
            max_connections_per_ip: None,
            header_timeout: "10s".to_owned(),
            body_timeout: "30s".to_owned(),
            idle_timeout: "75s".to_owned(),
            write_timeout: "30s".to_owned(),
        }
    }
}

impl Settings {
    /// Public base URL, used in links of mails.
    pub(crate) fn public_url(&self) -> Result<String, ConfigError> {
        let Some(text) = &self.server.public_url else {
            return Ok(format!("http://{}", self.server.listen));
        };
        let wrong = || {
            ConfigError::setting(
                "server.public_url",
                text,
                "expected an address like https://lake.example.com",
            )
        };
        let url = Url::parse(text).map_err(|_| wrong())?;
        let fits =
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
        if fits { Ok(text.clone()) } else { Err(wrong()) }
    }

    /// Origins whose browser pages may call the API.
    pub(crate) fn cors_origins(&self) -> Result<Vec<String>, ConfigError> {
        let origins = self.server.cors_origins.iter();
        let checked = origins.map(|text| {
            let url = Url::parse(text).ok();
            let is_origin = url.is_some_and(|url| url.origin().ascii_serialization() == *text);
            if is_origin || text == "*" {
                return Ok(text.clone());
            }
            let expected = "expected origins like https://app.example.com, or *";
            Err(ConfigError::setting("server.cors_origins", text, expected))
        });
        checked.collect()
    }

    /// Limits of requests.
    pub(crate) fn limits(&self) -> Result<HttpLimits, ConfigError> {
        let server = &self.server;
        let counts = [
            ("server.max_requests", server.max_requests),
            ("server.max_streams", server.max_streams),
            (
                "server.max_response_megabytes",
                server.max_response_megabytes,
            ),
            (
                "server.max_streams_per_client",
                server.max_streams_per_client,
            ),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, most)| *most == 0) {
            return Err(ConfigError::setting(name, "0", "expected 1 or more"));
        }
        Ok(HttpLimits {
            rate_limit_per_minute: server.rate_limit_per_minute,
            max_requests: server.max_requests,
            max_streams: server.max_streams,
            max_batch: server.max_batch,
            cache_bytes: server.cache_megabytes.saturating_mul(1 << 20),
            max_response_bytes: server.max_response_megabytes.saturating_mul(1 << 20),
            max_streams_per_client: server.max_streams_per_client,
        })
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
                    "the limit of open files is {files}, of which 512 are kept for other things: raise it (ulimit -n)"
                );
                return Err(ConfigError::setting("server.max_connections", "", problem));
            }
            None => default_connections(files),
            Some(max) if (1..=available).contains(&max) => max,
            Some(max) => {
                let problem = format!(
                    "expected 1 to {available}: the limit of open files minus 512 for other things"
                );
                let name = "server.max_connections";
                return Err(ConfigError::setting(name, &max.to_string(), problem));
            }
        };
        let per_ip = match server.max_connections_per_ip {
            Some(0) => {
                let name = "server.max_connections_per_ip";
                return Err(ConfigError::setting(name, "0", "expected 1 or more"));
            }
            Some(max) => max,
            None => ConnectionLimits::default_per_ip(max_connections),
        };
        Ok(ConnectionLimits {
            max_connections,
            max_connections_per_ip: (server.trusted_proxies == 0).then_some(per_ip),
            header_timeout: timeout("server.header_timeout", &server.header_timeout)?,
            body_timeout: timeout("server.body_timeout", &server.body_timeout)?,
            idle_timeout: timeout("server.idle_timeout", &server.idle_timeout)?,
            write_timeout: timeout("server.write_timeout", &server.write_timeout)?,
            max_body_bytes: MAX_BODY_BYTES,
        })
    }
}

/// Parses a timeout of a connection.
fn timeout(name: &str, text: &str) -> Result<Duration, ConfigError> {
    duration(name, text, &CONNECTION_TIMEOUTS)
}
