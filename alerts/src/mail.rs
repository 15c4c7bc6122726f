//! What a person reads.

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::{Address, Message};
use marketlake_entities::Metric;
use marketlake_entities::records::{alerts, deliveries, subscriptions};

use crate::AlertError;

/// One mail, ready to be sent. A later attempt has the same bytes but for the date, and the same Message-ID.
#[derive(Debug)]
pub struct Mail {
    /// The delivery that it is.
    pub delivery_id: String,
    /// The message.
    pub message: Message,
}

impl Mail {
    /// Writes the mail of a delivery.
    ///
    /// # Errors
    /// Where a row holds what no code of ours writes.
    pub fn write(
        from: &Mailbox,
        delivery: &deliveries::Model,
        alert: &alerts::Model,
        subscription: &subscriptions::Model,
    ) -> Result<Self, AlertError> {
        let corrupt = |reason: String| AlertError::Corrupt {
            table: "deliveries",
            id: delivery.id.clone(),
            reason,
        };
        let to: Address = delivery
            .address
            .parse()
            .map_err(|error| corrupt(format!("address: {error}")))?;
        let metric: Metric = alert
            .metric
            .parse()
            .map_err(|error| corrupt(format!("metric: {error}")))?;
        let message = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject(&metric, alert, subscription))
            .message_id(Some(format!("<{}@{}>", delivery.id, from.email.domain())))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(body(&metric, alert, subscription))
            .map_err(|error| corrupt(error.to_string()))?;
        Ok(Self {
            delivery_id: delivery.id.clone(),
            message,
        })
    }
}

fn subject(metric: &Metric, alert: &alerts::Model, subscription: &subscriptions::Model) -> String {
    let mark = if metric.is_simulated() {
        "[simulated] "
    } else {
        ""
    };
    let window = window(subscription);
    format!("{mark}{metric} {:.1}x its last {window}", alert.ratio)
}

fn body(metric: &Metric, alert: &alerts::Model, subscription: &subscriptions::Model) -> String {
    let note = if metric.is_simulated() {
        "This market is simulated: nothing of it was traded anywhere.\r\n\r\n"
    } else {
        ""
    };
    format!(
        "{note}{metric} jumped at {ts}.\r\n\r\n\
         Value    {value}\r\n\
         Mean     {mean} (of {samples} samples in the {window} before)\r\n\
         Ratio    {ratio:.2}\r\n\
         Rule     above {factor} times the mean, with at least {least} samples\r\n\r\n\
         You get this mail because of your subscription {id} to {pattern}.\r\n",
        ts = alert.ts,
        value = alert.value,
        mean = alert.mean,
        samples = alert.samples,
        window = window(subscription),
        ratio = alert.ratio,
        factor = subscription.factor,
        least = subscription.min_samples,
        id = subscription.id,
        pattern = subscription.pattern,
    )
}

fn window(subscription: &subscriptions::Model) -> String {
    match subscription.window_minutes {
        60 => "hour".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}
