//! States in a word each.

use marketlake_alerts::subscription::{Channel, State};
use marketlake_entities::records::alert_notes::Verdict;
use marketlake_entities::records::{deliveries, watches};

pub(crate) fn life(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Active => "active",
        State::Paused => "paused",
        State::Suspended => "suspended",
        State::Expired => "expired",
        State::Deleted => "unsubscribed",
    }
}

pub(crate) fn channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Mail => "mail",
        Channel::Webhook => "webhook",
        Channel::Slack => "slack",
    }
}

pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::WouldHaveFired => "would have fired",
        Verdict::WouldNotHaveFired => "would not have fired",
    }
}

pub(crate) fn delivery(state: deliveries::State) -> &'static str {
    use deliveries::State;
    match state {
        State::Pending => "pending",
        State::Sending => "sending",
        State::Sent => "sent",
        State::Retry => "retry",
        State::Dead => "dead",
        State::Unknown => "unknown",
    }
}

pub(crate) fn watch(state: watches::State) -> &'static str {
    use watches::State;
    match state {
        State::Ok => "ok",
        State::Pending => "pending",
        State::Firing => "firing",
        State::NoData => "no_data",
    }
}
