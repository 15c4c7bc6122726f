//! Access: a client may do what its key allows; its address gives it nothing.

mod addresses;
mod hosts;
mod operations;
mod operator_key;
mod outage;
mod proxy;
mod streams;
mod tokens;

use serde_json::Value;

use crate::support::client::Client;

const JOB_RUNS: &str = "{ jobRuns { nodes { id } } }";

/// Error code of a query for operators only; null for an operator.
async fn operators_only(client: &Client) -> Value {
    let answer = client.graphql(JOB_RUNS).await;
    answer["errors"][0]["extensions"]["code"].clone()
}
