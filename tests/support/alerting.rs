//! A lake with subscriptions, evaluated minute by minute, and an outbox that is emptied when a test
//! says so.

use std::sync::Arc;
use std::time::Duration;

use marketlake_alerts::delivery::channels::{Channel, Guard, SmtpChannel, WebhookChannel};
use marketlake_alerts::delivery::mail::{Dkim, Templates, Writer, WriterOptions};
use marketlake_alerts::delivery::outbox::{EnqueueOptions, SendCounts, SendRate, Sender};
use marketlake_alerts::detection::{self, RecordCounts};
use marketlake_alerts::{Channels, Subscription, SubscriptionSpec};
use marketlake_entities::database;
use marketlake_entities::records::deliveries::{self, DeliveryState};
use marketlake_entities::records::{alerts, job_runs};
use marketlake_lake::Lake;
use marketlake_model::{Millis, Minute, Sample};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait, NotSet, QueryOrder, Set,
};

use super::base::Base;
use super::samples::{series, start};

/// Timeout of a mail server in a test.
pub const TIMEOUT: Duration = Duration::from_secs(3);

/// Input of a trader: a metric or a pattern, and the address.
pub fn wants(metric: &str) -> SubscriptionSpec {
    SubscriptionSpec {
        metric: metric.to_owned(),
        address: "trader@example.com".to_owned(),
        ..SubscriptionSpec::default()
    }
}

/// A lake, and its subscriptions.
pub struct Alerting {
    pub lake: Arc<Lake>,
    pub database: DatabaseConnection,
}

impl Alerting {
    pub async fn on(base: &Base) -> Self {
        let lake = base.lake().await;
        Self {
            database: lake.database().clone(),
            lake,
        }
    }

    pub async fn now(&self) -> Millis {
        database::clock(&self.database).await.unwrap()
    }

    /// A subscription that needs no confirmation.
    pub async fn subscribe(&self, new: SubscriptionSpec) -> Subscription {
        // One that expires in the past was made before that.
        let before = |end: Millis| end.minus(Duration::from_secs(60));
        let now = self.now().await;
        let now = new.expires_at.map_or(now, |end| now.min(before(end)));
        Subscription::create(&self.database, &new, now)
            .await
            .unwrap()
            .unwrap()
    }

    /// Commits samples, without evaluating anything.
    pub async fn commit(&self, samples: Vec<Sample>) {
        self.lake.import(samples, self.now().await).await.unwrap();
    }

    /// An hour of calm before [`start`], for each id.
    pub async fn calm(&self, ids: &[&str]) {
        let calm = ids.iter().flat_map(|id| series(id, -60, &["100"; 60]));
        self.commit(calm.collect()).await;
    }

    /// Evaluates a minute, as the job does, and marks it as evaluated.
    pub async fn evaluate(&self, minute: Minute) -> RecordCounts {
        self.lake.queries().follow(0).await.unwrap();
        let verdict = detection::evaluate(&self.lake, minute).await.unwrap();
        let transaction = database::begin_write(&self.database).await.unwrap();
        let now = database::clock(&transaction).await.unwrap();
        let recorded = verdict
            .record(&transaction, now, EnqueueOptions::default())
            .await
            .unwrap();
        let run = job_runs::ActiveModel {
            id: NotSet,
            job: Set("detect-jumps".to_owned()),
            slot: Set(minute.start()),
            shard: Set(0),
            state: Set(job_runs::JobRunState::Done),
            token: Set(1),
            attempts: Set(1),
            not_before: Set(now),
            lease_until: Set(None),
            worker: Set(None),
            outcome: Set(None),
            error: Set(None),
            created_at: Set(now),
            started_at: Set(Some(now)),
            finished_at: Set(Some(now)),
        };
        run.insert(&transaction).await.unwrap();
        transaction.commit().await.unwrap();
        recorded
    }

    /// Commits the samples of the minutes from `from` on, a minute at a time, and evaluates each.
    pub async fn play(&self, id: &str, from: i64, values: &[&str]) -> Vec<RecordCounts> {
        let mut recorded = Vec::new();
        for (offset, value) in (from..).zip(values) {
            if *value != "_" {
                self.commit(series(id, offset, &[value])).await;
            }
            recorded.push(self.evaluate(start().plus(offset)).await);
        }
        recorded
    }

    /// The alerts so far: how many minutes after [`start`], metric, value.
    pub async fn alerts(&self) -> Vec<(i64, String, String)> {
        let rows = alerts::Entity::find()
            .order_by_asc(alerts::Column::Ts)
            .order_by_asc(alerts::Column::Metric)
            .all(&self.database)
            .await
            .unwrap();
        let after = |ts: Millis| ts.minute().number() - start().number();
        rows.into_iter()
            .map(|row| (after(row.ts), row.metric, row.value))
            .collect()
    }

    pub async fn deliveries(&self) -> Vec<deliveries::Model> {
        deliveries::Entity::find()
            .order_by_asc(deliveries::Column::CreatedAt)
            .order_by_asc(deliveries::Column::Id)
            .all(&self.database)
            .await
            .unwrap()
    }

    /// The one delivery that there is.
    pub async fn delivery(&self) -> deliveries::Model {
        let mut all = self.deliveries().await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    pub async fn states(&self) -> Vec<DeliveryState> {
        self.deliveries()
            .await
            .into_iter()
            .map(|row| row.state)
            .collect()
    }

    /// Makes everything that waits due now, and lets go of the brakes.
    pub async fn make_due(&self) {
        for sql in [
            "update deliveries set not_before = 0 where not_before < 9000000000000000",
            "delete from delivery_throttles",
        ] {
            self.database.execute_unprepared(sql).await.unwrap();
        }
    }

    /// Sends all that is due to a mail server.
    pub async fn send(&self, url: &str) -> SendCounts {
        self.sender(url, None).send_due(|| false).await.unwrap()
    }

    pub fn sender(&self, url: &str, dkim: Option<Dkim>) -> Sender {
        let mail = SmtpChannel::new(url, "lake.example", Some(TIMEOUT)).unwrap();
        let webhook = WebhookChannel::new(Guard::default(), &[], None).unwrap();
        self.sender_over(Arc::new(mail), Arc::new(webhook), dkim)
    }

    pub fn sender_over(
        &self,
        mail: Arc<dyn Channel>,
        webhook: Arc<dyn Channel>,
        dkim: Option<Dkim>,
    ) -> Sender {
        let channels = Channels { mail, webhook };
        let writer = Arc::new(writer(dkim));
        Sender::new(self.database.clone(), channels, writer, SendRate::default())
    }
}

/// Writer of mails, from a fixed address at an example domain.
pub fn writer(dkim: Option<Dkim>) -> Writer {
    Writer::new(WriterOptions {
        from: "marketlake <alerts@lake.example>".parse().unwrap(),
        public_url: "https://lake.example/".to_owned(),
        bounce_domain: None,
        templates: Templates::new(None).unwrap(),
        dkim,
    })
}

/// The address of the first link of a kind in a mail, without its host.
pub fn link(mail: &str, page: &str) -> String {
    let parsed = mail_parser::MessageParser::default().parse(mail.as_bytes());
    let text = parsed.unwrap().body_text(0).unwrap().into_owned();
    let at = text.find(&format!("/{page}/"));
    let at = at.unwrap_or_else(|| panic!("no link to {page} in\n{text}"));
    let link = text[at..].split_whitespace().next().unwrap();
    link.to_owned()
}
