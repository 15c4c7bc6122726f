//! Query-string parameters of the REST API.

use std::collections::HashMap;

use axum::extract::Query;
use marketlake_common::excerpt;
use marketlake_http::cursor;
use marketlake_lake::{ParseStatisticError, Statistic};
use marketlake_model::{Minute, parse_time};

use marketlake_http::problem::Problem;

/// Maximum number of rows of a page, which is also the default.
pub(super) const MAX_ROWS: usize = 10_000;

/// A request's parameters.
pub(super) struct QueryParams(HashMap<String, String>);

impl QueryParams {
    /// The parameters, all of which the route must know: a misspelt one is an error, not a
    /// surprise.
    pub(super) fn new(
        query: Query<HashMap<String, String>>,
        known: &[&str],
    ) -> Result<Self, Problem> {
        match query.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Problem::bad_parameter(
                name,
                &format!("expected one of {}", known.join(", ")),
            )),
            None => Ok(Self(query.0)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The minute in which a time lies.
    pub(super) fn minute(&self, name: &str) -> Result<Option<Minute>, Problem> {
        self.get(name)
            .map(|text| {
                parse_time(text).map_err(|error| Problem::bad_parameter(name, &error.to_string()))
            })
            .transpose()
            .map(|time| time.map(marketlake_model::Millis::minute))
    }

    /// A whole number.
    pub(super) fn whole(&self, name: &str) -> Result<Option<i64>, Problem> {
        let number = |text: &str| {
            text.parse().map_err(|_| {
                let shown = excerpt(text);
                Problem::bad_parameter(name, &format!("expected a whole number, got {shown:?}"))
            })
        };
        self.get(name).map(number).transpose()
    }

    /// Statistic of the ranking; standard deviation by default.
    pub(super) fn statistic(&self) -> Result<Statistic, Problem> {
        let parsed = self.get("statistic").map(str::parse).transpose();
        let parsed = parsed.map_err(|error: ParseStatisticError| {
            Problem::bad_parameter("statistic", &error.to_string())
        });
        Ok(parsed?.unwrap_or_default())
    }

    /// Rows of a page, where it is said.
    pub(super) fn limit(&self) -> Result<Option<usize>, Problem> {
        let Some(text) = self.get("limit") else {
            return Ok(None);
        };
        match text.parse() {
            Ok(limit) if (1..=MAX_ROWS).contains(&limit) => Ok(Some(limit)),
            _ => Err(Problem::bad_parameter(
                "limit",
                &format!(
                    "expected a number from 1 to {MAX_ROWS}, got {:?}",
                    excerpt(text)
                ),
            )),
        }
    }

    /// The place behind which the page begins.
    pub(super) fn cursor(&self) -> Result<Option<String>, Problem> {
        self.get("cursor")
            .map(|cursor| {
                cursor::decode(cursor).map_err(|error| Problem::bad_parameter("cursor", &error))
            })
            .transpose()
    }
}
