//! History of rules by minute, so that any day can be evaluated again as it was.

use std::collections::HashMap;
use std::sync::Arc;

use marketlake_entities::database;
use marketlake_entities::records::rule_spans::{ActiveModel, Column, Entity, Model};
use marketlake_entities::records::rule_states;
use marketlake_model::{Millis, Minute};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, NotSet, QueryFilter, QueryOrder, Set,
};

use crate::error::AlertError;
use crate::rules::rule::ScopedRule;
use crate::subscriptions::Subscription;

const BATCH_SIZE: usize = 500;

/// A stretch of minutes that one rule evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) subscription_id: String,
    pub(crate) scoped_rule: ScopedRule,
    pub(crate) from: Minute,
    /// The first minute that it did not evaluate any more.
    pub(crate) to: Option<Minute>,
}

impl Span {
    pub(crate) fn from_row(row: &Model) -> Result<Self, AlertError> {
        Ok(Self {
            subscription_id: row.subscription_id.clone(),
            scoped_rule: ScopedRule::read(row.id, &row.spec)?,
            from: row.from_ts.minute(),
            to: row.to_ts.map(Millis::minute),
        })
    }
}

/// Whether what is known under one rule is known under the next: only mute may change.
pub(crate) fn carries_over(before: &ScopedRule, after: &ScopedRule) -> bool {
    before.pattern == after.pattern && before.rule == after.rule
}

/// Changes of open spans.
#[derive(Debug, Default)]
pub(super) struct SpanChanges {
    closed: Vec<i64>,
    opened: Vec<ActiveModel>,
    /// Subscriptions whose watches are to be forgotten.
    pub(super) forgotten: Vec<String>,
}

/// Compares what is in force at a minute with what evaluated the minutes before.
pub(super) async fn changes(
    connection: &impl ConnectionTrait,
    in_force: &[Arc<Subscription>],
    minute: Minute,
) -> Result<SpanChanges, AlertError> {
    let open = Entity::find()
        .filter(Column::ToTs.is_null())
        .all(connection)
        .await?;
    let mut open: HashMap<String, Model> = open
        .into_iter()
        .map(|row| (row.subscription_id.clone(), row))
        .collect();
    let mut changes = SpanChanges::default();
    for subscription in in_force {
        match open.remove(&subscription.id) {
            Some(row) if row.revision == subscription.revision => continue,
            Some(row) => {
                changes.closed.push(row.id);
                let before = ScopedRule::read(row.id, &row.spec)?;
                if !carries_over(&before, &subscription.scoped_rule) {
                    changes.forgotten.push(subscription.id.clone());
                }
            }
            None => changes.forgotten.push(subscription.id.clone()),
        }
        changes.opened.push(ActiveModel {
            id: NotSet,
            subscription_id: Set(subscription.id.clone()),
            revision: Set(subscription.revision),
            spec: Set(subscription.scoped_rule.write()?),
            from_ts: Set(minute.start()),
            to_ts: Set(None),
        });
    }
    for (subscription_id, row) in open {
        changes.closed.push(row.id);
        changes.forgotten.push(subscription_id);
    }
    Ok(changes)
}

impl SpanChanges {
    /// Closes and opens spans, and forgets the watches of rules that evaluate no more.
    pub(super) async fn record(
        self,
        connection: &impl ConnectionTrait,
        minute: Minute,
    ) -> Result<(), DbErr> {
        for chunk in self.closed.chunks(BATCH_SIZE) {
            Entity::update_many()
                .col_expr(Column::ToTs, Expr::value(minute.start().0))
                .filter(Column::Id.is_in(chunk.iter().copied()))
                .exec(connection)
                .await?;
        }
        for chunk in self.forgotten.chunks(BATCH_SIZE) {
            rule_states::Entity::delete_many()
                .filter(rule_states::Column::SubscriptionId.is_in(chunk))
                .exec(connection)
                .await?;
        }
        database::insert_all(connection, self.opened, None).await?;
        Ok(())
    }
}

/// All spans that began by a time, by subscription, then time.
pub(crate) async fn spans(
    connection: &impl ConnectionTrait,
    to: Minute,
) -> Result<Vec<Span>, AlertError> {
    let rows = Entity::find()
        .filter(Column::FromTs.lte(to.start()))
        .order_by_asc(Column::SubscriptionId)
        .order_by_asc(Column::Id)
        .all(connection)
        .await?;
    rows.iter().map(Span::from_row).collect()
}
