//! Athena: a client with a pool of workgroups, its tables, and the manifests that list their files.

pub(crate) mod client;
mod doctor;
pub(crate) mod error;
pub(crate) mod manifests;
mod operations;
pub(crate) mod options;
mod pool;
mod query;
pub(crate) mod setup;
pub(crate) mod statement;
pub(crate) mod table;
