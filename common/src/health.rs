//! Health of a process, part by part: the data of `/readyz` and `/healthz?verbose`.
//!
//! Each part reports its state from time to time, and by when it will report again; readers get the
//! last report and never wait. A part whose next report is overdue counts as failed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The part of an API whose answers need neither the catalog nor the store.
pub const RECENT_DAY: &str = "recent_day";
/// Time after the start for which an API waits for its in-memory day before it is ready without it.
const WINDOW_TIMEOUT: Duration = Duration::from_secs(60);

/// Role of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Answers over HTTP.
    Api,
    /// Plans and runs jobs.
    Scheduler,
    /// Sends deliveries.
    Deliver,
}

/// Health of a process. Cheap to clone; all clones share one state.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    begun: Instant,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    roles: BTreeMap<Role, BTreeMap<String, State>>,
    notes: BTreeMap<String, String>,
}

#[derive(Clone)]
enum State {
    /// Well; where an instant is given, until then.
    Good(Instant, Option<Duration>),
    Bad(String),
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("roles", &self.roles())
            .finish_non_exhaustive()
    }
}

/// Handle by which one part reports its state.
#[derive(Clone)]
pub struct Part {
    health: Health,
    role: Role,
    name: String,
}

/// One role as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleReport {
    /// The role.
    pub role: Role,
    /// Whether it does its work.
    pub ready: bool,
    /// Each part's name, and why it is not well.
    pub parts: Vec<(String, Result<(), String>)>,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Inner {
            begun: Instant::now(),
            known: Mutex::default(),
        }))
    }
}

impl Health {
    /// Enters a part, which is not well until it says so.
    #[must_use]
    pub fn part(&self, role: Role, name: impl Into<String>) -> Part {
        let part = Part {
            health: self.clone(),
            role,
            name: name.into(),
        };
        part.bad("starting");
        part
    }

    /// Says something that makes no role unready; `None` takes it back.
    pub fn note(&self, name: &str, text: Option<String>) {
        let mut known = self.0.known.lock();
        match text {
            Some(text) => known.notes.insert(name.to_owned(), text),
            None => known.notes.remove(name),
        };
    }

    /// Notes by name.
    #[must_use]
    pub fn notes(&self) -> BTreeMap<String, String> {
        self.0.known.lock().notes.clone()
    }

    /// Every role as it stands. Each needs all of its parts, but an API: that needs its window, or
    /// all of the others.
    #[must_use]
    pub fn roles(&self) -> Vec<RoleReport> {
        let roles = self.0.known.lock().roles.clone();
        let waited = self.0.begun.elapsed() >= WINDOW_TIMEOUT;
        let reports = roles.into_iter().map(|(role, parts)| {
            let parts: Vec<_> = parts
                .into_iter()
                .map(|(name, state)| (name, state.now()))
                .collect();
            let all_but = |left_out: &str| {
                let mut others = parts.iter().filter(|(name, _)| name != left_out);
                others.all(|(_, state)| state.is_ok())
            };
            let window = parts.iter().find(|(name, _)| name == RECENT_DAY);
            let ready = match (role, window) {
                (Role::Api, Some((_, state))) => state.is_ok() || waited && all_but(RECENT_DAY),
                _ => all_but(""),
            };
            RoleReport { role, ready, parts }
        });
        reports.collect()
    }

    fn set(&self, role: Role, name: &str, state: State) {
        let mut known = self.0.known.lock();
        let parts = known.roles.entry(role).or_default();
        parts.insert(name.to_owned(), state);
    }
}

impl State {
    fn now(self) -> Result<(), String> {
        match self {
            Self::Good(said, Some(within)) if said.elapsed() > within => Err(format!(
                "no report for {} s, expected one within {} s",
                said.elapsed().as_secs(),
                within.as_secs()
            )),
            Self::Good(..) => Ok(()),
            Self::Bad(reason) => Err(reason),
        }
    }
}

impl Part {
    /// Says that it is well, and will say so again within a time.
    pub fn good(&self, within: Duration) {
        let state = State::Good(Instant::now(), Some(within));
        self.health.set(self.role, &self.name, state);
    }

    /// Says that it is well until it says otherwise.
    pub fn good_for_ever(&self) {
        let state = State::Good(Instant::now(), None);
        self.health.set(self.role, &self.name, state);
    }

    /// Says that it is not well, and why.
    pub fn bad(&self, reason: impl Into<String>) {
        let reason: String = reason.into().chars().take(300).collect();
        self.health.set(self.role, &self.name, State::Bad(reason));
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Scheduler => "scheduler",
            Self::Deliver => "deliver",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(health: &Health) -> Vec<(Role, bool)> {
        let roles = health.roles().into_iter();
        roles.map(|report| (report.role, report.ready)).collect()
    }

    #[test]
    fn a_role_is_ready_once_all_of_its_parts_are_and_no_longer() {
        let health = Health::default();
        let (planner, worker) = (
            health.part(Role::Scheduler, "planner"),
            health.part(Role::Scheduler, "ingest-minute"),
        );
        planner.good_for_ever();
        assert_eq!(ready(&health), [(Role::Scheduler, false)]);
        worker.good(Duration::from_secs(60));
        assert_eq!(ready(&health), [(Role::Scheduler, true)]);
        worker.good(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        let report = health.roles().remove(0);
        let reason = report.parts[0].1.clone().expect_err("it went silent");
        assert_eq!(reason, "no report for 0 s, expected one within 0 s");
        assert!(!report.ready);
    }

    #[test]
    fn an_api_with_its_window_needs_nothing_else() {
        let health = Health::default();
        health.part(Role::Api, "catalog").bad("no route");
        let window = health.part(Role::Api, RECENT_DAY);
        assert_eq!(ready(&health), [(Role::Api, false)]);
        window.good_for_ever();
        health.part(Role::Deliver, "deliver-alerts").bad("ended");
        assert_eq!(ready(&health), [(Role::Api, true), (Role::Deliver, false)]);
    }
}
