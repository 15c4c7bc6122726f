//! Renders mails of every kind with sample data, for authors of templates.

use chrono_tz::Tz;
use marketlake_entities::records::deliveries::{DeliveryKind, Model};
use marketlake_model::Millis;

use super::context::LinkBuilder;
use super::sample_data::{delivery, example, made_up};
use super::writer::Writer;
use crate::delivery::watchdog;
use crate::error::AlertError;
use crate::token::Keyring;

/// One mail.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Its kind, a file's name.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Every kind of mail, with made-up numbers, for a reader's zone at a time.
///
/// # Errors
/// If a template cannot be rendered.
pub fn preview(
    writer: &Writer,
    keys: &Keyring,
    zone: Tz,
    now: Millis,
) -> Result<Vec<Preview>, AlertError> {
    let linked = LinkBuilder {
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
        content: Some(watchdog::sample_incident(now)),
        ..delivery(DeliveryKind::Incident, now)
    };
    let of = |kind| delivery(kind, now);
    Ok(vec![
        Preview {
            name: "alert",
            bytes: writer.write_one(&of(DeliveryKind::Alert), &one, &linked, false)?,
        },
        Preview {
            name: "test",
            bytes: writer.write_one(&of(DeliveryKind::Test), &one, &linked, true)?,
        },
        Preview {
            name: "digest",
            bytes: writer.write_many(&of(DeliveryKind::Digest), &many, &linked)?,
        },
        Preview {
            name: "confirmation",
            bytes: writer.write_confirmation(
                &of(DeliveryKind::Confirmation),
                &subscription,
                &linked,
            )?,
        },
        Preview {
            name: "manage",
            bytes: writer.write_link(&of(DeliveryKind::Manage), 2, &linked)?,
        },
        Preview {
            name: "incident",
            bytes: writer.write_incident(&incident)?,
        },
    ])
}
