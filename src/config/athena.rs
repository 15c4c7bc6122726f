//! Settings of Athena.

use std::ops::RangeInclusive;
use std::time::Duration;

use marketlake_lake::{AthenaOptions, AthenaPolicy};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::settings::no_credentials;
use super::times::{AGES, TIMEOUTS, duration};

/// Athena, which answers queries of old or large periods if workgroups are configured. Memory
/// answers the last 24 hours, DataFusion all else.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Athena {
    /// Workgroups; the least busy one is used first. Empty: Athena is not used.
    pub(crate) workgroups: Vec<String>,
    /// Glue database of the lake's tables.
    pub(crate) database: String,
    /// URL of a server that speaks Athena's protocol; AWS by default.
    pub(crate) endpoint: Option<String>,
    /// Location of query results, `s3://bucket/prefix/`; below the lake by default.
    pub(crate) output_location: Option<String>,
    /// Maximum number of concurrent queries of each workgroup.
    pub(crate) max_queries: usize,
    /// Maximum size of the data that a query scans; 0: no limit.
    pub(crate) max_scanned_gigabytes: u64,
    /// Timeout of a query.
    pub(crate) timeout: String,
    /// Price of 10^12 scanned bytes in US dollars, for the cost that is shown.
    pub(crate) price_per_tb: f64,
    pub(crate) route: RouteSettings,
}

/// Thresholds from which Athena answers a query, by its age and its size.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RouteSettings {
    /// Age like 400d, counted back from the newest minute; age does not matter by default.
    pub(crate) older_than: Option<String>,
    /// Size of the segments to read; 0: size does not matter.
    pub(crate) larger_than_megabytes: u64,
}

impl Default for Athena {
    fn default() -> Self {
        let options = AthenaOptions::default();
        Self {
            workgroups: options.workgroups,
            database: options.database,
            endpoint: options.endpoint,
            output_location: options.output,
            max_queries: options.max_queries,
            max_scanned_gigabytes: options.max_scanned_bytes / 1_000_000_000,
            timeout: humantime::format_duration(options.timeout).to_string(),
            price_per_tb: options.price_per_tb,
            route: RouteSettings::default(),
        }
    }
}

impl Default for RouteSettings {
    fn default() -> Self {
        let bytes = AthenaPolicy::default().larger_than.unwrap_or(0);
        Self {
            older_than: None,
            larger_than_megabytes: bytes / 1_000_000,
        }
    }
}

impl Athena {
    /// Converts the settings to options of the engine; `None` if no workgroup is configured.
    pub(crate) fn options(&self) -> Result<Option<(AthenaOptions, AthenaPolicy)>, ConfigError> {
        let wrong = |name: &str, value: &str, expected| {
            Err(ConfigError::setting(
                &format!("athena.{name}"),
                value,
                expected,
            ))
        };
        no_credentials("athena.endpoint", self.endpoint.as_deref())?;
        no_credentials("athena.output_location", self.output_location.as_deref())?;
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.database.is_empty() || !self.database.chars().all(is_plain) {
            let expected = "expected a name of a to z, 0 to 9 and _";
            return wrong("database", &self.database, expected);
        }
        if let Some(output) = self
            .output_location
            .as_deref()
            .filter(|o| !o.starts_with("s3://"))
        {
            return wrong("output_location", output, "expected s3://bucket/prefix/");
        }
        if self.max_queries == 0 {
            return wrong("max_queries", "0", "expected 1 or more");
        }
        if !(self.price_per_tb.is_finite() && self.price_per_tb >= 0.0) {
            let price = self.price_per_tb.to_string();
            return wrong("price_per_tb", &price, "expected US dollars, 0 or more");
        }
        let patience = time("timeout", &self.timeout, &TIMEOUTS)?;
        let older_than = self.route.older_than.as_deref();
        let megabytes = self.route.larger_than_megabytes;
        let route = AthenaPolicy {
            older_than: older_than
                .map(|text| time("route.older_than", text, &AGES))
                .transpose()?,
            larger_than: (megabytes > 0).then_some(megabytes.saturating_mul(1_000_000)),
        };
        if self.workgroups.is_empty() {
            return Ok(None);
        }
        let options = AthenaOptions {
            workgroups: self.workgroups.clone(),
            database: self.database.clone(),
            endpoint: self.endpoint.clone(),
            output: self.output_location.clone(),
            max_queries: self.max_queries,
            max_scanned_bytes: self.max_scanned_gigabytes.saturating_mul(1_000_000_000),
            timeout: patience,
            price_per_tb: self.price_per_tb,
            ..AthenaOptions::default()
        };
        Ok(Some((options, route)))
    }
}

fn time(
    name: &str,
    text: &str,
    bounds: &RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    duration(&format!("athena.{name}"), text, bounds)
}
