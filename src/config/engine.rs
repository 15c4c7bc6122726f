//! Settings of who answers what.

use std::ops::RangeInclusive;
use std::time::Duration;

use marketlake_lake::{AthenaOptions, AthenaPolicy};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::settings::no_credentials;
use super::times::{AGES, TIMEOUTS, duration};

/// Who answers what: the last day from memory, the rest from the files, and what is old or large by Athena, where workgroups are named.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Engine {
    /// Athena's workgroups, the least busy of which is asked first; Athena is not used where there is none.
    pub(crate) workgroups: Vec<String>,
    /// The Glue database of the lake's tables.
    pub(crate) database: String,
    /// Address of a server that speaks Athena's protocol; AWS, if nothing is said.
    pub(crate) endpoint: Option<String>,
    /// Where Athena puts results, `s3://bucket/prefix/`; below the lake, if nothing is said.
    pub(crate) output: Option<String>,
    /// Queries at once in each workgroup.
    pub(crate) most_queries: usize,
    /// The most that a query may have to read; 0: no limit.
    pub(crate) most_scanned_gigabytes: u64,
    /// How long an answer of Athena may take.
    pub(crate) patience: String,
    /// What 10^12 scanned bytes cost, in US dollars; for the figures.
    pub(crate) price: f64,
    pub(crate) route: RouteSettings,
}

/// Which questions go to Athena: those that begin longer ago, and those that read more.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RouteSettings {
    /// A time like 400d, counted from the newest minute; age decides nothing, if nothing is said.
    pub(crate) older_than: Option<String>,
    /// 0: size decides nothing.
    pub(crate) larger_than_megabytes: u64,
}

impl Default for Engine {
    fn default() -> Self {
        let options = AthenaOptions::default();
        Self {
            workgroups: options.workgroups,
            database: options.database,
            endpoint: options.endpoint,
            output: options.output,
            most_queries: options.max_queries,
            most_scanned_gigabytes: options.max_scanned_bytes / 1_000_000_000,
            patience: humantime::format_duration(options.timeout).to_string(),
            price: options.price_per_tb,
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

impl Engine {
    /// How to use Athena; `None` where no workgroup is named.
    pub(crate) fn athena(&self) -> Result<Option<(AthenaOptions, AthenaPolicy)>, ConfigError> {
        let wrong = |name: &str, value: &str, expected| {
            Err(ConfigError::setting(
                &format!("engine.{name}"),
                value,
                expected,
            ))
        };
        no_credentials("engine.endpoint", self.endpoint.as_deref())?;
        no_credentials("engine.output", self.output.as_deref())?;
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.database.is_empty() || !self.database.chars().all(is_plain) {
            let expected = "expected a name of a to z, 0 to 9 and _";
            return wrong("database", &self.database, expected);
        }
        if let Some(output) = self.output.as_deref().filter(|o| !o.starts_with("s3://")) {
            return wrong("output", output, "expected s3://bucket/prefix/");
        }
        if self.most_queries == 0 {
            return wrong("most_queries", "0", "expected 1 or more");
        }
        if !(self.price.is_finite() && self.price >= 0.0) {
            let price = self.price.to_string();
            return wrong("price", &price, "expected US dollars, 0 or more");
        }
        let patience = time("patience", &self.patience, &TIMEOUTS)?;
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
            output: self.output.clone(),
            max_queries: self.most_queries,
            max_scanned_bytes: self.most_scanned_gigabytes.saturating_mul(1_000_000_000),
            timeout: patience,
            price_per_tb: self.price,
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
    duration(&format!("engine.{name}"), text, bounds)
}
