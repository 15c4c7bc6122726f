//! Reasons why a request is not authenticated.

/// Reason why a request is not authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// What it came with is not good.
    #[error("{0}")]
    Refused(String),
    /// Nobody can say at the moment.
    #[error("{0}")]
    Unavailable(String),
    /// More wait to be told than may.
    #[error("keys and tokens cannot be checked at the moment")]
    Busy,
}

impl AuthError {
    /// A token that is not valid.
    pub(crate) fn invalid_token(reason: &str) -> Self {
        Self::Refused(format!("this token is not good: {reason}"))
    }
}
