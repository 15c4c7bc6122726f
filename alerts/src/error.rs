//! What can go wrong with alerts.

use sea_orm::DbErr;

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The database failed.
    #[error("records: {0}")]
    Records(#[from] DbErr),
    /// A row holds what no code of ours writes.
    #[error("{table} {id}: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
}
