//! Settings of the operations listener.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ConfigError;

const OFF: &str = "off";

/// Operations server with health and `/metrics`, run by every role.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Operations {
    /// Listen address; `off`: none.
    pub(crate) listen: String,
}

impl Default for Operations {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8081".to_owned(),
        }
    }
}

impl Operations {
    /// Listen address; `None` if off.
    pub(crate) fn address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        if self.listen == OFF {
            return Ok(None);
        }
        let address = self.listen.parse();
        address.map(Some).map_err(|_| {
            let problem = "expected address:port like 127.0.0.1:8081, or off";
            ConfigError::setting("operations.listen", &self.listen, problem)
        })
    }
}
