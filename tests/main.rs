//! All integration tests, in one binary: each one would link the query engine again.

#![expect(
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests"
)]

mod access;
mod alerts;
mod athena;
mod aws;
mod database;
mod deploy;
mod end_to_end;
mod feeds;
mod graphql;
mod http;
mod jobs;
mod lake;
mod project;
mod prometheus;
mod records;
mod rest;
mod schema;
mod shell;
mod support;
