//! Reasons why a request is not authenticated.

/// Reason why a request is not authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The key or token is not valid.
    #[error("{0}")]
    Refused(String),
    /// The key or token cannot be checked at the moment.
    #[error("{0}")]
    Unavailable(String),
    /// Too many keys are being looked up.
    #[error("keys and tokens cannot be checked at the moment")]
    Busy,
}

impl AuthError {
    /// A token that is not valid.
    pub(crate) fn invalid_token(reason: &str) -> Self {
        Self::Refused(format!("this token is invalid: {reason}"))
    }
}
