//! All integration tests, in one binary: each one would link the query engine again.

#![expect(missing_docs, clippy::unwrap_used, reason = "tests")]

mod alerts;
mod end_to_end;
mod feeds;
mod graphql;
mod jobs;
mod lake;
mod project;
mod records;
mod rest;
mod shell;
mod support;
