//! Smoke test of a running server: probes each route and field for its presence and shape.

mod graphql;
mod rest;
mod target;

use std::time::Duration;

pub(crate) use target::Target;

/// Result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Present, with the expected shape.
    Good,
    /// Missing, or of another shape.
    Bad,
    /// The lake is empty, or a key would be needed.
    Skipped,
}

/// A probe with its result.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// Route or field.
    pub(crate) what: String,
    pub(crate) state: State,
    /// Details of the result.
    pub(crate) detail: String,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Skipped => "skipped",
        }
    }
}

impl Probe {
    fn new(what: &str, seen: Result<String, String>) -> Self {
        let (state, detail) = match seen {
            Ok(detail) => (State::Good, detail),
            Err(detail) => (State::Bad, detail),
        };
        Self {
            what: what.to_owned(),
            state,
            detail,
        }
    }

    fn skipped(what: &str, detail: &str) -> Self {
        Self {
            what: what.to_owned(),
            state: State::Skipped,
            detail: detail.to_owned(),
        }
    }
}

/// Probes whether the server is ready, for up to `timeout`.
pub(crate) async fn ready(target: &Target, timeout: Duration) -> Vec<Probe> {
    vec![target.wait(timeout).await]
}

/// Probes everything, once the server is ready or `timeout` is over.
pub(crate) async fn run_probes(target: &Target, timeout: Duration) -> Vec<Probe> {
    let mut probes = ready(target, timeout).await;
    if probes[0].state == State::Bad {
        return probes;
    }
    let metric = rest::run_probes(target, &mut probes).await;
    graphql::run_probes(target, metric.as_deref(), &mut probes).await;
    probes
}
