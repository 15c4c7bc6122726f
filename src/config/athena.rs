//! Settings of Athena.

use marketlake_lake::{AthenaOptions, AthenaPolicy};

use super::section::section;
use super::types::{Age, Checked, Dollars, GlueName, PlainUrl, Positive, S3Location, Timeout};

section! {
    /// Athena answers queries of old or large periods if workgroups are configured:
    /// [aws.md](aws.md#athena). Memory answers the last 24 hours, DataFusion all else.
    Athena {
        /// Workgroups; the least busy one is used first. Empty: Athena is not used.
        workgroups: Vec<String> = AthenaOptions::default().workgroups,
        /// Glue database of the lake's tables.
        database: Checked<GlueName> = Checked::built_in(AthenaOptions::default().database),
        /// URL of a server that speaks Athena's protocol; AWS by default.
        endpoint: Option<Checked<PlainUrl>> = None,
        /// Location of query results, `s3://bucket/prefix/`; `results/` below the lake by default.
        output_location: Option<Checked<S3Location>> = None,
        /// Maximum number of concurrent queries of each workgroup.
        max_queries: Positive = Positive::of(AthenaOptions::default().max_queries),
        /// Maximum size of the data that a query scans; `0`: no limit.
        max_scanned_gigabytes: u64 = AthenaOptions::default().max_scanned_bytes / 1_000_000_000,
        /// Timeout of a query.
        timeout: Timeout = Timeout::secs(AthenaOptions::default().timeout.as_secs()),
        /// Price of 10^12 scanned bytes in US dollars, for the cost that is shown.
        price_per_tb: Checked<Dollars> = Checked::built_in(AthenaOptions::default().price_per_tb),
        /// Thresholds from which Athena answers a query.
        route: AthenaRoute = AthenaRoute::default(),
    }
}

section! {
    /// Thresholds from which Athena answers a query.
    AthenaRoute {
        /// Queries that begin longer ago than this age, like `400d`, go to Athena; by default age
        /// does not matter.
        older_than: Option<Age> = None,
        /// Queries that would read more go to Athena; `0`: size does not matter.
        larger_than_megabytes: u64 = AthenaPolicy::default().larger_than.unwrap_or(0) / 1_000_000,
    }
}

impl Athena {
    /// Options of the engine; `None` if no workgroup is configured.
    pub(crate) fn options(&self) -> Option<(AthenaOptions, AthenaPolicy)> {
        if self.workgroups.is_empty() {
            return None;
        }
        let megabytes = self.route.larger_than_megabytes;
        let route = AthenaPolicy {
            older_than: self.route.older_than.map(Age::get),
            larger_than: (megabytes > 0).then_some(megabytes.saturating_mul(1_000_000)),
        };
        let options = AthenaOptions {
            workgroups: self.workgroups.clone(),
            database: (*self.database).clone(),
            endpoint: self.endpoint.as_deref().cloned(),
            output: self.output_location.as_deref().cloned(),
            max_queries: self.max_queries.get(),
            max_scanned_bytes: self.max_scanned_gigabytes.saturating_mul(1_000_000_000),
            timeout: self.timeout.get(),
            price_per_tb: *self.price_per_tb,
            ..AthenaOptions::default()
        };
        Some((options, route))
    }
}
