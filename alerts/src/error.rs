//! Errors of this crate.

use marketlake_common::BoxError;
use marketlake_lake::LakeError;
use sea_orm::DbErr;

/// Error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The database failed.
    #[error("records: {0}")]
    Records(#[from] DbErr),
    /// The samples cannot be read.
    #[error("samples: {0}")]
    Samples(#[from] LakeError),
    /// A row holds what no code of ours writes.
    #[error("{table} {id}: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key.
        id: String,
        /// The fault.
        #[source]
        reason: BoxError,
    },
    /// A template cannot be used.
    #[error("template {name}: {reason}")]
    Template {
        /// Its file name.
        name: String,
        /// The fault, and its place.
        #[source]
        reason: BoxError,
    },
    /// A message cannot be put together.
    #[error("message: {0}")]
    Message(#[source] BoxError),
    /// A lane of the outbox panicked again and again.
    #[error("{0}")]
    Lane(String),
    /// A picture cannot be drawn.
    #[error("chart: {0}")]
    Chart(#[source] BoxError),
}

impl AlertError {
    pub(crate) fn corrupt(table: &'static str, id: &str, reason: impl Into<BoxError>) -> Self {
        Self::Corrupt {
            table,
            id: id.to_owned(),
            reason: reason.into(),
        }
    }

    /// Parses a text of a row.
    pub(crate) fn parsed<T>(table: &'static str, id: &str, text: &str) -> Result<T, Self>
    where
        T: std::str::FromStr<Err: Into<BoxError>>,
    {
        text.parse()
            .map_err(|error: T::Err| Self::corrupt(table, id, error))
    }

    /// Whether another attempt with the same rows and settings cannot go otherwise.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        !matches!(self, Self::Records(_) | Self::Samples(_) | Self::Lane(_))
    }
}

/// One thing that is wrong with what was typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// Expected and actual value.
    pub message: String,
    /// A stable word for programs.
    pub code: &'static str,
}

impl FieldError {
    /// A value that cannot be used.
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field,
            message: message.into(),
            code: "INVALID",
        }
    }
}
