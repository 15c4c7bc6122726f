//! What was found of a store.

use std::fmt;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Good,
    /// It works, but costs money or trouble.
    Warning,
    /// It keeps us from working.
    Bad,
    /// The server has no such thing, or does not let us look.
    Unknown,
}

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `bucket`, `put`, `lifecycle`, ..
    pub what: &'static str,
    /// How it is.
    pub health: Health,
    /// What was seen, and where it is not good, what to do.
    pub detail: String,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        })
    }
}

impl Finding {
    /// Something that was looked at.
    #[must_use]
    pub fn new(what: &'static str, health: Health, detail: impl Into<String>) -> Self {
        Self {
            what,
            health,
            detail: detail.into(),
        }
    }
}
