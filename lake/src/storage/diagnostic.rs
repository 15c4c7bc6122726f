//! Result of a diagnostic check: subject, severity, detail.

use std::fmt;

/// Severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Good,
    /// It works, but costs money or trouble.
    Warning,
    /// It keeps us from working.
    Bad,
    /// The server has no such thing, or does not let us look.
    Unknown,
}

/// Result of one diagnostic check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Subject: `bucket`, `put`, `lifecycle`, ..
    pub what: &'static str,
    /// Severity.
    pub severity: Severity,
    /// Observation, and the remedy where there is a problem.
    pub detail: String,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        })
    }
}

impl Diagnostic {
    /// Creates the result of a check.
    #[must_use]
    pub fn new(what: &'static str, severity: Severity, detail: impl Into<String>) -> Self {
        Self {
            what,
            severity,
            detail: detail.into(),
        }
    }
}
