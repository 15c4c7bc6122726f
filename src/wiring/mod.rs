//! Construction of the process's parts from its settings.

pub(crate) mod database;
pub(crate) mod delivery;
pub(crate) mod http;
pub(crate) mod lake;
pub(crate) mod shutdown;
