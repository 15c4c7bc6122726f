//! Made-up subscriptions, alerts and deliveries for test mails and previews.

use chrono_tz::Tz;
use marketlake_entities::records::alerts;
use marketlake_entities::records::deliveries::{DeliveryKind, DeliveryState, Model};
use marketlake_entities::records::subscriptions::{ChannelKind, SubscriptionState};
use marketlake_lake::Point;
use marketlake_model::{Exact, Jump, JumpRule, Metric, Millis, RollingSum, SIMULATED, VOLUME};

use super::load::AlertDetails;
use crate::error::AlertError;
use crate::rules::evidence::Evidence;
use crate::rules::rule::{Rule, ScopedRule};
use crate::rules::state_machine::DETECTOR_VERSION;
use crate::subscriptions::Subscription;

/// An alert that never was, of a metric that the subscription could mean.
pub(super) fn made_up(
    subscription: &Subscription,
    now: Millis,
) -> Result<AlertDetails, AlertError> {
    let named = subscription
        .scoped_rule
        .pattern
        .members()
        .next()
        .unwrap_or("pair");
    let named = named.replace('*', "hottry");
    // Of two parts the second may be a measure or a pair.
    let id = match named.split(':').collect::<Vec<_>>()[..] {
        [pair] => format!("{SIMULATED}:{pair}"),
        [pair, measure] if measure.starts_with(VOLUME) => format!("{SIMULATED}:{pair}:{measure}"),
        _ => named,
    };
    let metric: Metric = id
        .parse()
        .map_err(|error| AlertError::Message(format!("test: {error}").into()))?;
    let rule = subscription.rule();
    let ts = now.minute();
    let window = i64::from(rule.jump.window);
    let value = |number: i64| Exact::new(number, 5).unwrap_or(Exact::ZERO);
    let mut points: Vec<Point> = (0..window)
        .map(|at| Point {
            ts: ts.plus(at - window),
            // A wave, so that there is something to see.
            value: value(6_000 + (at * 37 % 23) * 21 - (at * 11 % 17) * 9),
        })
        .collect();
    let before: RollingSum = points.iter().map(|point| point.value).collect();
    let factor = rule.jump.factor.to_f64() * 1.13;
    let jumped = match rule.jump.direction {
        marketlake_model::Direction::Up => before.mean() * factor,
        marketlake_model::Direction::Down => before.mean() / factor,
    };
    let jumped = Exact::rounded(jumped, 4).unwrap_or(Exact::ZERO);
    points.push(Point { ts, value: jumped });
    let jump = Jump::of(&metric, ts, jumped, &before);
    Ok(AlertDetails {
        alert: alert(subscription, &jump, now),
        subscription: subscription.clone(),
        evidence: Some(Evidence {
            metric,
            ts,
            window: rule.jump.window,
            points,
            segments: Vec::new(),
        }),
    })
}

fn alert(subscription: &Subscription, jump: &Jump, now: Millis) -> alerts::Model {
    alerts::Model {
        id: "00000000-0000-4000-8000-000000000000".to_owned(),
        subscription_id: subscription.id.clone(),
        metric: jump.metric.to_string(),
        ts: jump.ts.start(),
        value: jump.value.to_string(),
        mean: jump.mean,
        ratio: jump.ratio,
        samples: i32::try_from(jump.samples).unwrap_or(i32::MAX),
        created_at: now,
        revision: subscription.revision,
        detector: DETECTOR_VERSION,
        evidence_id: Some("made-up".to_owned()),
    }
}

pub(super) fn example(now: Millis, zone: Tz) -> Result<Subscription, AlertError> {
    let pattern = "hottry".parse();
    let pattern = pattern.map_err(|error| AlertError::Message(format!("{error}").into()))?;
    Ok(Subscription {
        id: "00000000-0000-4000-8000-000000000001".to_owned(),
        state: SubscriptionState::Pending,
        revision: 1,
        scoped_rule: ScopedRule {
            pattern,
            rule: Rule::new(JumpRule::default()),
            muted_until: None,
        },
        address: "you@example.com".to_owned(),
        channel: ChannelKind::Mail,
        endpoint: None,
        secret: None,
        time_zone: zone,
        created_at: now,
        owner: None,
        reason: None,
    })
}

pub(super) fn delivery(kind: DeliveryKind, now: Millis) -> Model {
    Model {
        id: "00000000-0000-4000-8000-00000000000d".to_owned(),
        kind,
        subscription_id: None,
        channel: ChannelKind::Mail,
        address: "you@example.com".to_owned(),
        content: None,
        message: None,
        state: DeliveryState::Pending,
        token: 0,
        attempts: 0,
        unknowns: 0,
        transmit_started_at: None,
        not_before: now,
        lease_until: None,
        error: None,
        created_at: now,
        finished_at: None,
        message_id: None,
        destination: "mail:example.com".to_owned(),
    }
}
