//! Index from metrics to the subscriptions that they concern.

use std::collections::HashMap;
use std::sync::Arc;

use marketlake_lake::RuleInput;
use marketlake_model::{Direction, Exact, JumpRule, Metric};

use crate::subscriptions::Subscription;

/// Subscriptions whose rules look equally far back.
pub(super) struct Group {
    pub(super) window: u32,
    /// Those that name metrics.
    pub(super) exact: Vec<Arc<Subscription>>,
    /// Those with a `*`.
    pub(super) globs: Vec<Arc<Subscription>>,
    /// Nothing that none of these calls a jump concerns any of the globs.
    loosest: Vec<JumpRule>,
}

/// The subscriptions by how far their rules look back.
pub(super) fn groups(subscriptions: &[Arc<Subscription>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for subscription in subscriptions {
        let window = subscription.rule().jump.window;
        let at = groups.iter().position(|group| group.window == window);
        let at = at.unwrap_or_else(|| {
            groups.push(Group {
                window,
                exact: Vec::new(),
                globs: Vec::new(),
                loosest: Vec::new(),
            });
            groups.len() - 1
        });
        groups[at].take(subscription);
    }
    groups
}

impl Group {
    fn take(&mut self, subscription: &Arc<Subscription>) {
        if subscription.scoped_rule.pattern.is_exact() {
            self.exact.push(Arc::clone(subscription));
            return;
        }
        self.globs.push(Arc::clone(subscription));
        let rule = subscription.rule().jump;
        let same_way = |other: &&mut JumpRule| other.direction == rule.direction;
        match self.loosest.iter_mut().find(same_way) {
            Some(loosest) => {
                loosest.factor = loosest.factor.min(rule.factor);
                loosest.min_samples = loosest.min_samples.min(rule.min_samples);
            }
            None => self.loosest.push(rule),
        }
    }

    /// Whether a sample can be a jump to any of the globs.
    pub(super) fn concerns_globs(&self, trail: &RuleInput) -> bool {
        let Some(value) = trail.value else {
            return false;
        };
        self.loosest.iter().any(|rule| {
            rule.no_data(&trail.before).is_none() && rule.beyond(rule.factor, value, &trail.before)
        })
    }

    /// Number of different rules.
    pub(super) fn rules(&self) -> usize {
        let mut seen: Vec<(Exact, Direction, u32)> = Vec::new();
        for subscription in self.exact.iter().chain(&self.globs) {
            let jump = subscription.rule().jump;
            seen.push((jump.factor, jump.direction, jump.min_samples));
        }
        seen.sort_unstable_by_key(|(factor, direction, least)| {
            (*factor, *direction == Direction::Down, *least)
        });
        seen.dedup();
        seen.len()
    }
}

/// Metrics by what they are called.
pub(super) struct Names<'a>(HashMap<&'a str, Vec<&'a Metric>>);

impl<'a> Names<'a> {
    pub(super) fn of(metrics: impl Iterator<Item = &'a Metric>) -> Self {
        let mut names: HashMap<&str, Vec<&Metric>> = HashMap::new();
        for metric in metrics {
            names.entry(metric.id()).or_default().push(metric);
            names.entry(metric.short_name()).or_default().push(metric);
        }
        Self(names)
    }

    /// The metrics that a pattern without a `*` names, each once.
    pub(super) fn named(&self, subscription: &Subscription) -> Vec<&'a Metric> {
        let members = subscription.scoped_rule.pattern.members();
        let mut named: Vec<&Metric> = members
            .filter_map(|member| self.0.get(member))
            .flatten()
            .copied()
            .collect();
        named.sort_unstable();
        named.dedup();
        named
    }
}
