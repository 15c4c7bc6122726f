//! Wiring: builds the parts of a process.

pub(crate) mod http;
