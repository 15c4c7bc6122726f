//! Options of Athena: workgroups, limits, timeout, price.

use std::time::Duration;

/// Price in most regions, in US dollars for each 10^12 bytes scanned
/// (aws.amazon.com/athena/pricing).
const DEFAULT_PRICE_PER_TB: f64 = 5.0;

/// Options of Athena.
#[derive(Clone, Debug)]
pub struct AthenaOptions {
    /// Workgroups that run the queries, the least busy one first; at least one.
    pub workgroups: Vec<String>,
    /// The Glue database of our tables.
    pub database: String,
    /// Address of a server that speaks Athena's protocol; AWS where there is none.
    pub endpoint: Option<String>,
    /// Location of results, `s3://bucket/prefix/`; by default below the lake, where vacuum deletes
    /// them. A workgroup may override it.
    pub output: Option<String>,
    /// Maximum of concurrent queries in a workgroup.
    pub max_queries: usize,
    /// Maximum that a query may read, in bytes of the catalog's objects; 0: no limit.
    pub max_scanned_bytes: u64,
    /// Timeout of a query, with all attempts.
    pub timeout: Duration,
    /// Price of 10^12 scanned bytes, in US dollars.
    pub price_per_tb: f64,
    /// Memory of the result cache, in bytes.
    pub cache_bytes: u64,
}

impl Default for AthenaOptions {
    fn default() -> Self {
        Self {
            workgroups: Vec::new(),
            database: "marketlake".to_owned(),
            endpoint: None,
            output: None,
            max_queries: 5,
            max_scanned_bytes: 100_000_000_000,
            timeout: Duration::from_secs(300),
            price_per_tb: DEFAULT_PRICE_PER_TB,
            cache_bytes: 64 << 20,
        }
    }
}
