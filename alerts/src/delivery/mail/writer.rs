//! Renders the bytes of a delivery.

use std::sync::Arc;

use chrono_tz::Tz;
use lettre::message::Mailbox;
use marketlake_entities::records::alerts;
use marketlake_entities::records::deliveries::{DeliveryKind, Model};
use marketlake_entities::records::subscriptions::{ChannelKind, SubscriptionState};
use parking_lot::Mutex;
use sea_orm::ConnectionTrait;
use serde_json::Value;

use super::context::Links;
use super::context::{
    AlertContext, ConfirmationContext, DigestContext, JumpContext, LinkBuilder, MAX_DIGEST_ROWS,
    ManageContext,
};
use super::dkim::Dkim;
use super::load::{AlertDetails, message_id};
use super::mime::Draft;
use super::proof::Proof;
use super::templates::Templates;
use super::{chart, load, mime, payload, proof, sample_data};
use crate::delivery::channels::OutgoingMessage;
use crate::error::AlertError;
use crate::subscriptions::Subscription;
use crate::subscriptions::access::Access;
use crate::token::{Keyring, Purpose};

/// Maximum number of cached charts, since one jump may be in many alerts.
const CHART_CACHE_SIZE: usize = 64;

/// Options of a [`Writer`].
pub struct WriterOptions {
    /// Sender of the mails.
    pub from: Mailbox,
    /// Base URL of links: the address under which the server is reached from outside.
    pub public_url: String,
    /// The domain to which notices about mails come back; the sender's own where there is none.
    pub bounce_domain: Option<String>,
    /// The words.
    pub templates: Templates,
    /// The signature.
    pub dkim: Option<Dkim>,
}

/// Writes deliveries.
pub struct Writer {
    pub(super) options: WriterOptions,
    charts: Mutex<Vec<(String, Arc<Vec<u8>>)>>,
}

/// A rendered delivery, or the reason not to send it any more.
type RuleJson = Result<Vec<u8>, String>;

impl Writer {
    /// A writer.
    #[must_use]
    pub fn new(mut options: WriterOptions) -> Self {
        options
            .public_url
            .truncate(options.public_url.trim_end_matches('/').len());
        Self {
            options,
            charts: Mutex::default(),
        }
    }

    /// A delivery, ready to go; or why it is not to go any more. A message is rendered once only.
    ///
    /// # Errors
    /// If the database fails, a row holds what no code of ours writes, or a template cannot be
    /// rendered.
    pub async fn message(
        &self,
        connection: &impl ConnectionTrait,
        delivery: &Model,
        keys: &Keyring,
    ) -> Result<Result<OutgoingMessage, String>, AlertError> {
        if let Some(reason) = load::refusal(connection, delivery).await? {
            return Ok(Err(reason));
        }
        let (message_id, bytes) = match &delivery.message {
            Some(bytes) => (message_id(delivery).to_owned(), bytes.clone()),
            None => {
                let members = load::members(connection, delivery).await?;
                let identity = load::identity(delivery, &members, keys)?;
                let delivery = Model {
                    message_id: Some(identity.clone()),
                    ..delivery.clone()
                };
                match self.write(connection, &delivery, members, keys).await? {
                    Ok(bytes) => (identity, bytes),
                    Err(reason) => return Ok(Err(reason)),
                }
            }
        };
        let secret = match (&delivery.subscription_id, delivery.channel) {
            (_, ChannelKind::Mail) | (None, _) => None,
            (Some(id), _) => Subscription::find(connection, id)
                .await?
                .and_then(|s| s.secret),
        };
        let domain = self.options.bounce_domain.as_deref();
        let domain = domain.unwrap_or_else(|| self.options.from.email.domain());
        Ok(Ok(OutgoingMessage {
            return_path: format!("{}@{domain}", keys.return_path(&message_id)?),
            message_id,
            address: delivery.address.clone(),
            secret,
            bytes: bytes.into(),
        }))
    }

    async fn write(
        &self,
        connection: &impl ConnectionTrait,
        delivery: &Model,
        members: Vec<alerts::Model>,
        keys: &Keyring,
    ) -> Result<RuleJson, AlertError> {
        let linked = LinkBuilder {
            keys,
            public_url: &self.options.public_url,
            now: delivery.created_at,
        };
        match delivery.kind {
            DeliveryKind::Alert | DeliveryKind::Digest => {
                let gathered = load::alerts(connection, members).await?;
                self.write_alerts(delivery, &gathered, &linked)
            }
            DeliveryKind::Test => match self.subscription(connection, delivery).await? {
                None => Ok(Err("its subscription has ended".to_owned())),
                Some(subscription) => {
                    let made_up = sample_data::made_up(&subscription, delivery.created_at)?;
                    self.write_one(delivery, &made_up, &linked, true).map(Ok)
                }
            },
            DeliveryKind::Confirmation => {
                let subscription = self.subscription(connection, delivery).await?;
                let waits = |s: &Subscription| {
                    matches!(
                        s.state,
                        SubscriptionState::Pending | SubscriptionState::Suspended
                    )
                };
                match subscription.filter(waits) {
                    None => Ok(Err("its subscription is not pending".to_owned())),
                    Some(subscription) => self
                        .write_confirmation(delivery, &subscription, &linked)
                        .map(Ok),
                }
            }
            DeliveryKind::Manage => {
                let count = Subscription::of(connection, Access::Address(&delivery.address))
                    .await?
                    .len();
                self.write_link(delivery, count, &linked).map(Ok)
            }
            DeliveryKind::Incident => self.write_incident(delivery).map(Ok),
        }
    }

    async fn subscription(
        &self,
        connection: &impl ConnectionTrait,
        delivery: &Model,
    ) -> Result<Option<Subscription>, AlertError> {
        let Some(id) = &delivery.subscription_id else {
            return Ok(None);
        };
        let found = Subscription::find(connection, id).await?;
        Ok(found.filter(|subscription| subscription.state != SubscriptionState::Deleted))
    }

    fn write_alerts(
        &self,
        delivery: &Model,
        gathered: &[AlertDetails],
        linked: &LinkBuilder<'_>,
    ) -> Result<RuleJson, AlertError> {
        match gathered {
            [] => Ok(Err("its subscription has ended".to_owned())),
            [one] => self.write_one(delivery, one, linked, false).map(Ok),
            many => self.write_many(delivery, many, linked).map(Ok),
        }
    }

    pub(super) fn write_one(
        &self,
        delivery: &Model,
        one: &AlertDetails,
        linked: &LinkBuilder<'_>,
        test: bool,
    ) -> Result<Vec<u8>, AlertError> {
        let subscription = &one.subscription;
        let mut story = AlertContext {
            jump: JumpContext {
                test,
                ..JumpContext::of(&one.alert, subscription)?
            },
            chart: None,
            links: linked.of(subscription)?,
            jumps: None,
        };
        let proof = Proof::of(&one.alert, subscription, one.evidence.as_ref());
        if delivery.channel != ChannelKind::Mail {
            return payload::render(delivery, &self.options.templates, &story, &[proof]);
        }
        let chart = match &one.evidence {
            None => None,
            Some(_) => {
                let id = format!(
                    "chart-{}@{}",
                    message_id(delivery),
                    self.options.from.email.domain()
                );
                Some((id, self.chart(one)?.to_vec()))
            }
        };
        story.chart = chart.as_ref().map(|(id, _)| id.clone());
        let draft = Draft {
            words: self.options.templates.render("alert", &story)?,
            chart,
            proof: Some(proof::file(&[proof])?),
            unsubscribe: Some(story.links.unsubscribe),
            thread: Some(subscription.id.clone()),
            ..self.draft(delivery, "alert")
        };
        mime::assemble(draft, self.options.dkim.as_ref())
    }

    pub(super) fn write_many(
        &self,
        delivery: &Model,
        many: &[AlertDetails],
        linked: &LinkBuilder<'_>,
    ) -> Result<Vec<u8>, AlertError> {
        let proofs: Vec<Proof<'_>> = many
            .iter()
            .map(|one| Proof::of(&one.alert, &one.subscription, one.evidence.as_ref()))
            .collect();
        let shown = many.iter().take(MAX_DIGEST_ROWS);
        let jumps = shown.map(|one| JumpContext::of(&one.alert, &one.subscription));
        let jumps = jumps.collect::<Result<Vec<_>, _>>()?;
        let links = Links {
            unsubscribe: linked
                .link(Purpose::Unsubscribe, &format!("d:{}", message_id(delivery)))?,
            ..linked.of(&many[0].subscription)?
        };
        let story = DigestContext {
            count: many.len(),
            more: many.len() - jumps.len(),
            first: jumps[0].clone(),
            simulated: jumps.iter().all(|jump| jump.simulated),
            jumps,
            test: false,
            links,
        };
        if delivery.channel != ChannelKind::Mail {
            return payload::render(delivery, &self.options.templates, &story, &proofs);
        }
        let draft = Draft {
            words: self.options.templates.render("digest", &story)?,
            proof: Some(proof::file(&proofs)?),
            unsubscribe: Some(story.links.unsubscribe),
            ..self.draft(delivery, "digest")
        };
        mime::assemble(draft, self.options.dkim.as_ref())
    }

    pub(super) fn write_confirmation(
        &self,
        delivery: &Model,
        subscription: &Subscription,
        linked: &LinkBuilder<'_>,
    ) -> Result<Vec<u8>, AlertError> {
        let story = ConfirmationContext {
            pattern: subscription.scoped_rule.pattern.to_string(),
            rule: subscription.rule().in_words(),
            days: Purpose::Confirm.days(),
            links: Links {
                confirm: linked.link(Purpose::Confirm, &subscription.id)?,
                ..Links::default()
            },
        };
        self.plain(delivery, "confirmation", &story)
    }

    pub(super) fn write_link(
        &self,
        delivery: &Model,
        count: usize,
        linked: &LinkBuilder<'_>,
    ) -> Result<Vec<u8>, AlertError> {
        let story = ManageContext {
            count,
            days: Purpose::Manage.days(),
            links: Links {
                manage: linked.link(Purpose::Manage, &delivery.address)?,
                ..Links::default()
            },
        };
        self.plain(delivery, "manage", &story)
    }

    pub(super) fn write_incident(&self, delivery: &Model) -> Result<Vec<u8>, AlertError> {
        let text = delivery.content.as_deref().unwrap_or("{}");
        let story: Value = serde_json::from_str(text)
            .map_err(|error| AlertError::corrupt("deliveries", &delivery.id, error))?;
        self.plain(delivery, "incident", &story)
    }

    /// A mail of words only.
    fn plain(
        &self,
        delivery: &Model,
        kind: &'static str,
        story: &impl serde::Serialize,
    ) -> Result<Vec<u8>, AlertError> {
        let draft = Draft {
            words: self.options.templates.render(kind, story)?,
            ..self.draft(delivery, kind)
        };
        mime::assemble(draft, self.options.dkim.as_ref())
    }

    fn draft<'a>(&'a self, delivery: &'a Model, kind: &'static str) -> Draft<'a> {
        Draft {
            from: &self.options.from,
            to: &delivery.address,
            id: message_id(delivery),
            date: delivery.created_at,
            words: super::templates::RenderedMail::default(),
            chart: None,
            proof: None,
            unsubscribe: None,
            thread: None,
            kind,
        }
    }

    /// Chart of an alert; cached, since other alerts may be of the same jump and rule.
    fn chart(&self, one: &AlertDetails) -> Result<Arc<Vec<u8>>, AlertError> {
        let Some(evidence) = &one.evidence else {
            return Err(AlertError::Chart("there are no rows".into()));
        };
        let rule = one.subscription.rule();
        let zone: Tz = one.subscription.time_zone;
        let id = one.alert.evidence_id.as_deref().unwrap_or_default();
        let key = format!("{id} {} {} {zone}", rule.jump.factor, rule.jump.direction);
        if let Some((_, kept)) = self.charts.lock().iter().find(|(kept, _)| *kept == key) {
            return Ok(Arc::clone(kept));
        }
        let drawn = Arc::new(chart::draw(evidence, one.alert.mean, rule, zone)?);
        let mut charts = self.charts.lock();
        if charts.len() >= CHART_CACHE_SIZE {
            charts.remove(0);
        }
        charts.push((key, Arc::clone(&drawn)));
        Ok(drawn)
    }
}
