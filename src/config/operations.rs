//! Settings of the operations listener.

use std::net::SocketAddr;

use super::section::section;
use super::types::{Checked, OptionalAddress};

section! {
    /// Health and `/metrics`: [health.md](health.md).
    Operations {
        /// Listen address of `/healthz`, `/readyz` and `/metrics`, in every role; `off`: none. A
        /// second process on one machine needs another port.
        listen: Checked<OptionalAddress> = Checked::built_in("127.0.0.1:8081"),
    }
}

impl Operations {
    /// Listen address; `None` if off.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        *self.listen
    }
}
