//! Sessions: the connections of a feed, and the spans of the exchange's time in which each received
//! everything that the exchange sent.
//!
//! A span is proved by events: it begins some seconds after the first one, and reaches to the
//! newest one. Heartbeats and pings prove nothing: a connection may answer them and send no data.

use std::collections::VecDeque;
use std::time::Duration;

use marketlake_model::Millis;

/// Time that an event may be ahead of the receiver's clock; what is further ahead is rejected. So
/// the exchange's clock is at most this far ahead.
pub(super) const MAX_AHEAD: Duration = Duration::from_secs(5);
/// Spans that are kept of a session.
const MAX_SPANS: usize = 16;

/// A span of the exchange's time, both ends within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Millis,
    pub(super) to: Millis,
}

impl Span {
    /// Whether spans cover a time together, without a gap.
    pub(super) fn cover(spans: &[Self], from: Millis, to: Millis) -> bool {
        let is_in = spans
            .iter()
            .any(|span| span.from <= from && from <= span.to);
        is_in && Self::reach(spans, from) >= to
    }

    /// Time up to which spans reach from an instant without a gap: the instant itself, if none
    /// holds it.
    pub(super) fn reach(spans: &[Self], from: Millis) -> Millis {
        let mut reached = from;
        // Each round joins one more span, so that there are at most as many rounds as spans.
        for _ in spans {
            let joined = spans.iter().filter(|span| span.from <= reached);
            match joined.map(|span| span.to).max() {
                Some(end) if end > reached => reached = end,
                _ => break,
            }
        }
        reached
    }
}

/// Begin of what is known after an event: later than the event, and than the exchange's clock at
/// its arrival can be.
pub(super) fn known_from(time: Millis, arrival: Millis) -> Millis {
    time.max(arrival.plus(MAX_AHEAD))
}

/// One session.
#[derive(Debug, Default)]
pub(super) struct Session {
    past: VecDeque<Span>,
    from: Option<Millis>,
    newest: Option<Millis>,
    interruptions: u64,
    is_over: bool,
    /// Symbols that are subscribed from the next event on.
    pending: Vec<String>,
}

impl Session {
    /// An event came. Returns the symbols whose subscriptions begin with it.
    pub(super) fn advance(&mut self, time: Millis, arrival: Millis) -> Vec<String> {
        let newest = self.newest.map_or(time, |newest| newest.max(time));
        self.newest = Some(newest);
        // A later event proves as much; less of it where the receiver's clock was ahead before.
        let from = known_from(newest, arrival);
        self.from = Some(self.from.map_or(from, |known| known.min(from)));
        std::mem::take(&mut self.pending)
    }

    /// A symbol is subscribed from the next event on.
    pub(super) fn subscribe(&mut self, symbol: &str) {
        self.pending.push(symbol.to_owned());
    }

    /// Something that was sent is lost: what is known begins anew with the next event.
    pub(super) fn interrupt(&mut self) {
        self.interruptions += 1;
        if let (Some(from), Some(to)) = (self.from.take(), self.newest) {
            if self.past.len() >= MAX_SPANS {
                self.past.pop_front();
            }
            self.past.push_back(Span { from, to });
        }
    }

    /// It is over.
    pub(super) fn end(&mut self) {
        self.interrupt();
        self.is_over = true;
        self.pending = Vec::new();
    }

    /// Whether it is over, and nothing of it is as new as this.
    pub(super) fn is_forgotten(&self, before: Millis) -> bool {
        self.is_over && self.newest.is_none_or(|newest| newest < before)
    }

    /// Whether it is over, or has received events up to an instant, or none at all.
    pub(super) fn has_reached(&self, instant: Millis) -> bool {
        self.is_over || self.from.is_none() || self.newest >= Some(instant)
    }

    /// Time of the newest event.
    pub(super) fn newest(&self) -> Option<Millis> {
        self.newest
    }

    /// Number of interruptions so far.
    pub(super) fn interruptions(&self) -> u64 {
        self.interruptions
    }

    /// Whether the running span has begun, and its beginning is past.
    pub(super) fn is_proving(&self) -> bool {
        self.from.is_some() && self.newest >= self.from
    }

    /// Spans of a subscription that began at an instant.
    pub(super) fn spans(&self, since: Millis) -> impl Iterator<Item = Span> {
        let running = self.from.zip(self.newest);
        let running = running.map(|(from, to)| Span { from, to });
        let all = self.past.iter().copied().chain(running);
        all.map(move |span| Span {
            from: span.from.max(since),
            to: span.to,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64) -> Span {
        Span {
            from: Millis(from),
            to: Millis(to),
        }
    }

    #[test]
    fn spans_that_overlap_cover_a_time_together_and_spans_with_a_gap_do_not() {
        let spans = [span(50, 90), span(0, 60), span(95, 200)];
        for (from, to, covered) in [
            (0, 90, true),
            (10, 60, true),
            (0, 91, false),
            (95, 200, true),
            (94, 200, false),
            (90, 96, false),
            (-1, 10, false),
        ] {
            let is_covered = Span::cover(&spans, Millis(from), Millis(to));
            assert_eq!(is_covered, covered, "{from} to {to}");
        }
        assert!(!Span::cover(&[], Millis(0), Millis(0)));
    }

    #[test]
    fn a_session_knows_what_lies_between_its_events_and_nothing_after_the_newest() {
        let mut session = Session::default();
        session.subscribe("A");
        assert!(
            session.has_reached(Millis(i64::MAX)),
            "nothing is waited for"
        );
        assert_eq!(session.advance(Millis(1_000), Millis(1_100)), ["A"]);
        assert!(session.advance(Millis(60_000), Millis(60_010)).is_empty());
        assert!(session.advance(Millis(50_000), Millis(60_020)).is_empty());
        let all = |session: &Session| session.spans(Millis(0)).collect::<Vec<_>>();
        assert_eq!(all(&session), [span(6_100, 60_000)]);
        assert!(session.has_reached(Millis(60_000)) && !session.has_reached(Millis(60_001)));
        session.interrupt();
        session.interrupt();
        assert_eq!(session.interruptions(), 2);
        // An old event after it does not reach back.
        session.advance(Millis(55_000), Millis(60_500));
        session.advance(Millis(70_000), Millis(70_000));
        assert_eq!(all(&session), [span(6_100, 60_000), span(65_500, 70_000)]);
        session.end();
        assert!(session.has_reached(Millis(i64::MAX)));
        assert!(session.is_forgotten(Millis(70_001)) && !session.is_forgotten(Millis(70_000)));
        let since: Vec<Span> = session.spans(Millis(66_000)).collect();
        assert_eq!(since[1], span(66_000, 70_000));
    }

    #[test]
    fn spans_of_a_session_are_bounded() {
        let mut session = Session::default();
        for number in 0..1_000 {
            session.advance(Millis(number * 10_000), Millis(number * 10_000));
            session.interrupt();
        }
        assert_eq!(session.spans(Millis(0)).count(), MAX_SPANS);
    }
}
