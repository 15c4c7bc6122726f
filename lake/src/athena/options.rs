//! How Athena is to be used.

use std::time::Duration;

/// What a query costs in most regions, in US dollars for each 10^12 bytes scanned (aws.amazon.com/athena/pricing).
const USUAL_PRICE: f64 = 5.0;

/// How to reach Athena, and how much of it to use.
#[derive(Clone, Debug)]
pub struct AthenaOptions {
    /// Who runs the queries, the least busy one first; there must be one.
    pub workgroups: Vec<String>,
    /// The Glue database of our tables.
    pub database: String,
    /// Address of a server that speaks Athena's protocol; AWS where there is none.
    pub endpoint: Option<String>,
    /// Where Athena puts its results, `s3://bucket/prefix/`; below the lake, where vacuum clears them away, if nothing is said. A workgroup may overrule it.
    pub output: Option<String>,
    /// Queries that run at once in a workgroup.
    pub most_queries: usize,
    /// The most that a query may have to read, in bytes of the catalog's objects; 0: no limit.
    pub most_scanned: u64,
    /// How long an answer may take, with all attempts.
    pub patience: Duration,
    /// Price of 10^12 scanned bytes, in US dollars.
    pub price: f64,
    /// Memory for rows that may be given again while the lake stays as it is, in bytes.
    pub kept_bytes: u64,
}

impl Default for AthenaOptions {
    fn default() -> Self {
        Self {
            workgroups: Vec::new(),
            database: "marketlake".to_owned(),
            endpoint: None,
            output: None,
            most_queries: 5,
            most_scanned: 100_000_000_000,
            patience: Duration::from_secs(300),
            price: USUAL_PRICE,
            kept_bytes: 64 << 20,
        }
    }
}
