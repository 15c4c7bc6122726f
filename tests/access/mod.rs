//! Access: what a client may do by its key, and nothing by where it asks from.

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

/// The code with which a question only operators may ask is answered; null for an operator.
async fn operators_only(client: &Client) -> Value {
    let answer = client.graphql(JOB_RUNS).await;
    answer["errors"][0]["extensions"]["code"].clone()
}
