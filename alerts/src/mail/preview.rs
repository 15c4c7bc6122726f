//! Mails of every kind with made-up numbers, for those who change templates.

use chrono_tz::Tz;
use marketlake_entities::records::alerts;
use marketlake_entities::records::deliveries::{Kind, Model, State as DeliveryState};
use marketlake_lake::Point;
use marketlake_model::{Exact, Jump, JumpRule, Metric, Millis, SIMULATED, Trailing, VOLUME};

use super::gather::Gathered;
use super::story::Linked;
use super::writer::Writer;
use crate::evidence::Evidence;
use crate::machine::DETECTOR;
use crate::subscription::{Channel, State};
use crate::token::Keyring;
use crate::{AlertError, Judged, Rule, Subscription};

/// One mail.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Its kind, a file's name.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An alert that never was, of a metric that the subscription could mean.
pub(super) fn made_up(subscription: &Subscription, now: Millis) -> Result<Gathered, AlertError> {
    let named = subscription
        .judged
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
        .map_err(|error| AlertError::Message(format!("test: {error}")))?;
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
    let before: Trailing = points.iter().map(|point| point.value).collect();
    let factor = rule.jump.factor.to_f64() * 1.13;
    let jumped = match rule.jump.direction {
        marketlake_model::Direction::Up => before.mean() * factor,
        marketlake_model::Direction::Down => before.mean() / factor,
    };
    let jumped = Exact::rounded(jumped, 4).unwrap_or(Exact::ZERO);
    points.push(Point { ts, value: jumped });
    let jump = Jump::of(&metric, ts, jumped, &before);
    Ok(Gathered {
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
        detector: DETECTOR,
        evidence_id: Some("made-up".to_owned()),
    }
}

fn example(now: Millis, zone: Tz) -> Result<Subscription, AlertError> {
    let pattern = "hottry".parse();
    let pattern = pattern.map_err(|error| AlertError::Message(format!("{error}")))?;
    Ok(Subscription {
        id: "00000000-0000-4000-8000-000000000001".to_owned(),
        state: State::Pending,
        revision: 1,
        judged: Judged {
            pattern,
            rule: Rule::of(JumpRule::default()),
            muted_until: None,
        },
        address: "you@example.com".to_owned(),
        channel: Channel::Mail,
        endpoint: None,
        secret: None,
        time_zone: zone,
        created_at: now,
        owner: None,
        reason: None,
    })
}

fn delivery(kind: Kind, now: Millis) -> Model {
    Model {
        id: "00000000-0000-4000-8000-00000000000d".to_owned(),
        kind,
        subscription_id: None,
        channel: Channel::Mail,
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

/// Every kind of mail, with made-up numbers, for a reader's zone at a time.
///
/// # Errors
/// Where a template cannot be rendered.
pub fn preview(
    writer: &Writer,
    keys: &Keyring,
    zone: Tz,
    now: Millis,
) -> Result<Vec<Preview>, AlertError> {
    let linked = Linked {
        keys,
        public_url: &writer.options.public_url,
        now,
    };
    let subscription = example(now, zone)?;
    let one = made_up(&subscription, now)?;
    let metrics = [
        "binance:btcusdt:volume",
        "kraken:ethusd",
        "binance:solusdt",
        "coinbase:dogeusd:volume",
    ];
    let many = metrics.iter().map(|id| {
        let mut one = made_up(&subscription, now)?;
        one.alert.metric = (*id).to_owned();
        Ok(one)
    });
    let many = many.collect::<Result<Vec<_>, AlertError>>()?;
    let incident = Model {
        content: Some(crate::watchman::example(now)),
        ..delivery(Kind::Incident, now)
    };
    let of = |kind| delivery(kind, now);
    Ok(vec![
        Preview {
            name: "alert",
            bytes: writer.write_one(&of(Kind::Alert), &one, &linked, false)?,
        },
        Preview {
            name: "test",
            bytes: writer.write_one(&of(Kind::Test), &one, &linked, true)?,
        },
        Preview {
            name: "digest",
            bytes: writer.write_many(&of(Kind::Digest), &many, &linked)?,
        },
        Preview {
            name: "confirmation",
            bytes: writer.write_confirmation(&of(Kind::Confirmation), &subscription, &linked)?,
        },
        Preview {
            name: "manage",
            bytes: writer.write_link(&of(Kind::Manage), 2, &linked)?,
        },
        Preview {
            name: "incident",
            bytes: writer.write_incident(&incident)?,
        },
    ])
}
