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

/// Longer than anybody waits.
const CONNECTION_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3_600);

/// Where the HTTP face listens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    pub(crate) listen: String,
    /// Where the server is reached from outside; links in mails lead there. The address that it listens on, where there is none.
    pub(crate) public_url: Option<String>,
    /// Proxies of one's own that stand before it.
    pub(crate) trusted_proxies: usize,
    /// The header in which they name their peers; the other one is never read.
    pub(crate) forwarded_header: ProxyHeader,
    /// Pages of these origins may ask from browsers; `*` stands for all.
    pub(crate) origins: Vec<String>,
    /// Points that each key, or network address, may use up a minute; 0: no limit.
    pub(crate) points_a_minute: u32,
    /// Requests answered at once.
    pub(crate) most_requests: usize,
    /// WebSockets and event streams open at once.
    pub(crate) most_live: usize,
    /// GraphQL requests of a batch; 0: there are no batches.
    pub(crate) most_batch: usize,
    /// Memory for answers that may be given again until the next commit, for each face, in megabytes.
    pub(crate) cache_megabytes: u64,
    /// Size of a response before it is compressed, in megabytes.
    pub(crate) max_response_megabytes: usize,
    /// WebSockets and event streams open at once of each key, or network address.
    pub(crate) max_streams_per_client: usize,
    /// Open connections in all; the limit of open files minus 512, at most 32,768, where nothing
    /// is said.
    pub(crate) max_connections: Option<usize>,
    /// Open connections of one IPv4 address or IPv6 /64; a quarter of all, at most 1,024, where
    /// nothing is said. Not counted behind `trusted_proxies`, whose address all have.
    pub(crate) max_connections_per_ip: Option<usize>,
    /// Time for a request's headers, like 10s.
    pub(crate) header_timeout: String,
    /// Time for a request's body.
    pub(crate) body_timeout: String,
    /// Time for the next request on an open connection.
    pub(crate) idle_timeout: String,
    /// Time within which a client takes some of a response.
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
            origins: Vec::new(),
            points_a_minute: limits.rate_limit_per_minute,
            most_requests: limits.max_requests,
            most_live: limits.max_streams,
            most_batch: limits.max_batch,
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
    /// Where links in mails lead.
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

    /// Pages of which origins may ask.
    pub(crate) fn origins(&self) -> Result<Vec<String>, ConfigError> {
        let origins = self.server.origins.iter();
        let checked = origins.map(|text| {
            let url = Url::parse(text).ok();
            let is_origin = url.is_some_and(|url| url.origin().ascii_serialization() == *text);
            if is_origin || text == "*" {
                return Ok(text.clone());
            }
            let expected = "expected origins like https://app.example.com, or *";
            Err(ConfigError::setting("server.origins", text, expected))
        });
        checked.collect()
    }

    /// How much may be asked for.
    pub(crate) fn limits(&self) -> Result<HttpLimits, ConfigError> {
        let server = &self.server;
        let counts = [
            ("server.most_requests", server.most_requests),
            ("server.most_live", server.most_live),
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
            rate_limit_per_minute: server.points_a_minute,
            max_requests: server.most_requests,
            max_streams: server.most_live,
            max_batch: server.most_batch,
            cache_bytes: server.cache_megabytes.saturating_mul(1 << 20),
            max_response_bytes: server.max_response_megabytes.saturating_mul(1 << 20),
            max_streams_per_client: server.max_streams_per_client,
        })
    }

    /// Bounds of connections, beside which `files` leaves enough descriptors.
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

/// A time that is neither none nor endless.
fn timeout(name: &str, text: &str) -> Result<Duration, ConfigError> {
    duration(name, text, &CONNECTION_TIMEOUTS)
}
