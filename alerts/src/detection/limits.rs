//! Counts alerts already sent, as far as the limits of firing rules need it.

use std::collections::{BTreeSet, HashMap};

use marketlake_entities::records::alerts::{Column, Entity};
use marketlake_model::{Metric, Millis, Minute};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Select};

use super::{FiringRule, JumpCandidate};
use crate::rules::evaluation::{AlertCounts, SuppressionReason};

const BATCH_SIZE: usize = 500;

pub(super) struct Limits {
    minute: Minute,
    last: HashMap<(String, String), Minute>,
    tallies: HashMap<String, AlertCounts>,
    spent: BTreeSet<String>,
}

impl Limits {
    pub(super) async fn read(
        connection: &impl ConnectionTrait,
        jumps: &[JumpCandidate],
        minute: Minute,
    ) -> Result<Self, DbErr> {
        let ids: BTreeSet<&str> = jumps
            .iter()
            .map(|found| found.fired.subscription.id.as_str())
            .collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let cooldowns = jumps
            .iter()
            .map(|found| found.fired.subscription.rule().cooldown);
        let cooldown = i64::from(cooldowns.max().unwrap_or_default());
        let mut limits = Self {
            minute,
            last: HashMap::new(),
            tallies: HashMap::new(),
            spent: BTreeSet::new(),
        };
        for chunk in ids.chunks(BATCH_SIZE) {
            let before = of(chunk).filter(Column::Ts.lt(minute.start()));
            let lately = before
                .clone()
                .filter(Column::Ts.gt(minute.plus(-cooldown).start()))
                .column(Column::Metric)
                .column_as(Column::Ts.max(), "last")
                .group_by(Column::Metric);
            let lately: Vec<(String, String, i64)> = lately.into_tuple().all(connection).await?;
            for (id, metric, ts) in lately {
                limits.last.insert((id, metric), Millis(ts).minute());
            }
            let counted = before.column_as(Column::Id.count(), "n");
            let today = counted.clone().filter(Column::Ts.gte(minute.day().start()));
            let ever: Vec<(String, i64)> = counted.into_tuple().all(connection).await?;
            let today: Vec<(String, i64)> = today.into_tuple().all(connection).await?;
            for (id, count) in ever {
                limits.tally(&id).ever = u32::try_from(count).unwrap_or(u32::MAX);
            }
            for (id, count) in today {
                limits.tally(&id).today = u32::try_from(count).unwrap_or(u32::MAX);
            }
        }
        Ok(limits)
    }

    fn tally(&mut self, id: &str) -> &mut AlertCounts {
        let day = Some(self.minute.day());
        self.tallies.entry(id.to_owned()).or_insert(AlertCounts {
            day,
            ..AlertCounts::default()
        })
    }

    pub(super) fn admit(&mut self, fired: &FiringRule) -> Result<(), SuppressionReason> {
        let subscription = &fired.subscription;
        let metric: &Metric = &fired.jump.metric;
        let key = (subscription.id.clone(), metric.id().to_owned());
        let last = self.last.get(&key).copied();
        let minute = self.minute;
        let tally = self.tally(&subscription.id);
        let admitted = tally.admit(&subscription.scoped_rule, minute, last);
        let max = subscription.rule().max_alerts;
        if max.is_some_and(|max| tally.ever >= max) {
            self.spent.insert(subscription.id.clone());
        }
        admitted
    }

    /// Subscriptions that have had all their alerts.
    pub(super) fn spent(self) -> Vec<String> {
        self.spent.into_iter().collect()
    }
}

fn of(ids: &[&str]) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::SubscriptionId)
        .filter(Column::SubscriptionId.is_in(ids.iter().copied()))
        .group_by(Column::SubscriptionId)
}
