//! Values of expressions, and errors.

use std::sync::Arc;

use marketlake_http::compute::ComputeError;

use super::labels::Labels;

/// A series' samples: milliseconds since 1970, and values.
pub(super) type Samples = Vec<(i64, f64)>;

/// A series, as far as it was read.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) samples: Arc<Samples>,
}

/// One value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Element {
    pub(super) labels: Labels,
    pub(super) value: f64,
}

/// Value of an expression at one instant.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(f64),
    Text(String),
    Vector(Vec<Element>),
    /// Samples of a range, and the range: from (left out) and to, in milliseconds.
    Matrix(Vec<(Labels, Samples)>, (i64, i64)),
}

/// Errors of Prometheus' HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PromError {
    /// It cannot be parsed, or refers to what is not there.
    #[error("{0}")]
    BadData(String),
    /// It cannot be computed.
    #[error("{0}")]
    Execution(String),
    /// It would take too long.
    #[error("the query exceeded its time limit")]
    Timeout,
    /// The lake cannot be read; the cause is in the log.
    #[error("the lake cannot be read at the moment; see the server's log")]
    Unavailable,
}

impl From<ComputeError> for PromError {
    fn from(error: ComputeError) -> Self {
        match error {
            ComputeError::Timeout => Self::Timeout,
            ComputeError::Panicked => Self::Execution(error.to_string()),
        }
    }
}

impl PromError {
    pub(super) fn not_covered(what: &str) -> Self {
        Self::BadData(format!(
            "{what} is not supported; supported are selectors with matchers, offset, @, ranges \
             and subqueries, arithmetic, comparison and set operators, aggregations, and the \
             functions that charts of prices need: see docs/api.md"
        ))
    }
}

impl Value {
    pub(super) fn vector(self) -> Result<Vec<Element>, PromError> {
        match self {
            Self::Vector(elements) => Ok(elements),
            other => Err(other.unexpected("an instant vector")),
        }
    }

    pub(super) fn scalar(self) -> Result<f64, PromError> {
        match self {
            Self::Scalar(value) => Ok(value),
            other => Err(other.unexpected("a scalar")),
        }
    }

    pub(super) fn text(self) -> Result<String, PromError> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.unexpected("a string")),
        }
    }

    fn unexpected(&self, expected: &str) -> PromError {
        let got = match self {
            Self::Scalar(_) => "a scalar",
            Self::Text(_) => "a string",
            Self::Vector(_) => "an instant vector",
            Self::Matrix(..) => "a range vector",
        };
        PromError::BadData(format!("expected {expected}, got {got}"))
    }
}
