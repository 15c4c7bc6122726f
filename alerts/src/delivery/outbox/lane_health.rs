//! Health of the lanes, and handling of one that panics.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use marketlake_common::health::{Health, Part, Role};
use marketlake_common::panic_message;
use metrics::counter;

use crate::queue::lane::{LANES, Lane};

/// A lane that is at work says so within this time: longer than both steps of a channel, and what
/// is insisted on to record an outcome.
const LANE_TIMEOUT: Duration = Duration::from_secs(300);

/// Health of the lanes of a process. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub(super) struct LaneHealth(Arc<OnceLock<BTreeMap<&'static str, Part>>>);

impl LaneHealth {
    /// Enters the lanes as parts of a process's health.
    pub(super) fn enter(&self, health: &Health) {
        self.0.get_or_init(|| {
            let parts = LANES.map(|lane| (lane.name(), health.part(Role::Deliver, lane.name())));
            for (_, part) in &parts {
                part.good_for_ever();
            }
            BTreeMap::from(parts)
        });
    }

    fn part(&self, lane: Lane) -> Option<&Part> {
        self.0.get()?.get(lane.name())
    }

    /// A lane is at work.
    pub(super) fn works(&self, lane: Lane) {
        if let Some(part) = self.part(lane) {
            part.good(LANE_TIMEOUT);
        }
    }

    /// A lane has nothing to do.
    pub(super) fn is_idle(&self, lane: Lane) {
        if let Some(part) = self.part(lane) {
            part.good_for_ever();
        }
    }

    /// A lane, or one delivery in it, panicked. Returns the words.
    pub(super) fn panicked(&self, lane: Lane, panic: &(dyn Any + Send)) -> String {
        let words = panic_message(panic);
        let task = format!("deliver-alerts {}", lane.name());
        tracing::error!(task, reason = "panicked", "task {task} panicked: {words}");
        counter!("marketlake_task_restarts_total", "task" => task, "reason" => "panicked")
            .increment(1);
        if let Some(part) = self.part(lane) {
            part.bad(format!("panicked: {words}"));
        }
        words
    }
}
