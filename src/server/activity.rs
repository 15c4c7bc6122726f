//! Phase of a connection and its deadline.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::ConnectionLimits;

/// Minimum rate of a peer that reads; a slower one is disconnected after the write timeout.
const MIN_BYTES_PER_SECOND: u64 = 4_096;
/// Time after which an idle connection may be closed for a new one.
const MIN_IDLE: Duration = Duration::from_secs(1);
/// Time left for an unfinished head when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Opened; no byte received yet.
    Opened,
    /// Headers are being read.
    Head,
    /// A request is being read and answered.
    Request,
    /// All requests are answered; the next may come.
    Idle,
    /// Upgraded to another protocol, whose task has its own timeouts.
    Upgraded,
}

/// Reason for which the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    HeaderTimeout,
    IdleTimeout,
    WriteTimeout,
    Evicted,
}

impl CloseReason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::HeaderTimeout => "header_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Evicted => "evicted",
        }
    }
}

/// State that a connection's socket, its requests and the admission share.
pub(super) struct Activity {
    state: Mutex<State>,
    eviction: Notify,
}

struct State {
    phase: Phase,
    since: Instant,
    is_stopping: bool,
    is_evicted: bool,
    /// Time since which the peer has read no byte.
    blocked_since: Option<Instant>,
    /// Time for which writing waited, and bytes written, since the request began.
    blocked: Duration,
    written: u64,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Opened,
                since: now,
                is_stopping: false,
                is_evicted: false,
                blocked_since: None,
                blocked: Duration::ZERO,
                written: 0,
            }),
            eviction: Notify::new(),
        }
    }

    /// Records received bytes.
    pub(super) fn has_read(&self) {
        let mut state = self.state.lock();
        match state.phase {
            // The time since the connection was opened counts.
            Phase::Opened => state.phase = Phase::Head,
            Phase::Idle => {
                state.phase = Phase::Head;
                state.since = Instant::now();
            }
            Phase::Head | Phase::Request | Phase::Upgraded => (),
        }
    }

    /// Records written bytes.
    pub(super) fn has_written(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.written = state.written.saturating_add(bytes as u64);
        let Some(since) = state.blocked_since.take() else {
            return;
        };
        let now = Instant::now();
        state.blocked += now.saturating_duration_since(since);
        // A response that is handed over whole is still on its way.
        if state.phase == Phase::Idle {
            state.since = now;
        }
    }

    /// Records that a write would block.
    pub(super) fn is_blocked(&self) {
        let mut state = self.state.lock();
        if state.blocked_since.is_none() {
            state.blocked_since = Some(Instant::now());
        }
    }

    /// Records that a request's head is complete.
    pub(super) fn request_began(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Request;
        state.since = Instant::now();
        // A client that sends its next request in time stays.
        state.is_evicted = false;
        state.blocked = Duration::ZERO;
        state.written = 0;
    }

    /// Records that a response was sent or given up.
    pub(super) fn request_ended(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Request {
            state.phase = Phase::Idle;
            state.since = Instant::now();
        }
    }

    /// Records an upgrade to another protocol.
    pub(super) fn upgraded(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Upgraded;
        state.is_evicted = false;
    }

    /// Shortens the deadline of connections that wait for a request.
    pub(super) fn stop(&self) {
        self.state.lock().is_stopping = true;
    }

    /// Deadline of the current phase, and the reason to close the connection then.
    pub(super) fn deadline(&self, limits: &ConnectionLimits) -> Option<(Instant, CloseReason)> {
        let state = self.state.lock();
        if let Some(since) = state.blocked_since {
            let by_rate = Duration::from_secs(state.written / MIN_BYTES_PER_SECOND);
            let left = (limits.write_timeout + by_rate).saturating_sub(state.blocked);
            let deadline = since + left.min(limits.write_timeout);
            return Some((deadline, CloseReason::WriteTimeout));
        }
        let (timeout, reason) = match state.phase {
            Phase::Opened | Phase::Head => (limits.header_timeout, CloseReason::HeaderTimeout),
            Phase::Idle => (limits.idle_timeout, CloseReason::IdleTimeout),
            Phase::Request | Phase::Upgraded => return None,
        };
        let timeout = if state.is_stopping {
            timeout.min(STOP_TIMEOUT)
        } else {
            timeout
        };
        Some((state.since + timeout, reason))
    }

    /// Tells the connection's task to close it, if it has waited for a request for a while.
    pub(super) fn evict(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let waits = matches!(state.phase, Phase::Opened | Phase::Head | Phase::Idle)
            && state.blocked_since.is_none();
        if !waits || now.saturating_duration_since(state.since) < MIN_IDLE {
            return false;
        }
        state.is_evicted = true;
        drop(state);
        self.eviction.notify_one();
        true
    }

    /// Whether the connection is to be closed to make room.
    pub(super) fn is_evicted(&self) -> bool {
        self.state.lock().is_evicted
    }

    /// Waits until the connection may have to be closed to make room.
    pub(super) async fn eviction(&self) {
        self.eviction.notified().await;
    }
}
