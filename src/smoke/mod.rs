//! Looks at a server from outside: is each route and field there, and has it the right shape.

mod graphql;
mod rest;
mod target;

use std::time::Duration;

pub(crate) use target::Target;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There, with the right shape.
    Good,
    /// It is not, or has another shape.
    Bad,
    /// The lake is empty, or a key would be needed.
    Skipped,
}

/// What came of one look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// What was asked: a route, or a field.
    pub(crate) what: String,
    pub(crate) state: State,
    /// What was seen.
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

impl Look {
    fn of(what: &str, seen: Result<String, String>) -> Self {
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

/// Looks whether the server is ready, until `patience` is over.
pub(crate) async fn ready(target: &Target, patience: Duration) -> Vec<Look> {
    vec![target.wait(patience).await]
}

/// Looks at everything, once the server is ready or `patience` is over.
pub(crate) async fn look(target: &Target, patience: Duration) -> Vec<Look> {
    let mut looks = ready(target, patience).await;
    if looks[0].state == State::Bad {
        return looks;
    }
    let metric = rest::look(target, &mut looks).await;
    graphql::look(target, metric.as_deref(), &mut looks).await;
    looks
}
