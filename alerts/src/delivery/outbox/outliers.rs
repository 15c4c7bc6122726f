//! Outliers: receivers that fail while others are well, so that one address holds back neither its
//! domain nor all mail.
//!
//! A failure after the mail server received the recipient may be the server's or the recipient's.
//! Other deliveries decide: a group (a domain's addresses, the domains of all mail) is held back
//! for a member that fails, until another member succeeds; then the first is an outlier, and held
//! back alone until it succeeds itself. Kept in memory: a process that starts learns it again.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;

use marketlake_entities::records::deliveries::Model as Delivery;
use parking_lot::Mutex;

use crate::delivery::channels::ThrottleScope;
use crate::queue::lane::Lane;

/// Domains that fail in a row, without a success in between, where the mail server is down.
const MIN_FAILING_DOMAINS: usize = 5;
/// Outliers of a domain; where more of its addresses fail, the domain is held back.
const MAX_OUTLIERS_PER_DOMAIN: usize = 4;
/// Domains that are remembered.
const MAX_DOMAINS: usize = 10_000;

/// Receivers of which one may stand for all.
#[derive(Default)]
struct Group {
    /// Failed since the last success of any.
    failing: BTreeSet<String>,
    /// Failed while another one succeeded, and not succeeded since.
    outliers: BTreeSet<String>,
}

impl Group {
    fn fail(&mut self, member: &str, max: usize) {
        if self.failing.len() < max {
            self.failing.insert(member.to_owned());
        }
    }

    /// One succeeds: those that fail are outliers, unless they are too many for that.
    fn succeed(&mut self, member: &str, max: usize) {
        let mut failing = take(&mut self.failing);
        failing.remove(member);
        self.outliers.remove(member);
        if self.outliers.len() + failing.len() <= max {
            self.outliers.append(&mut failing);
        }
    }
}

/// Receivers that succeeded or failed lately, as this process knows them.
#[derive(Default)]
pub(super) struct Outliers(Mutex<Groups>);

#[derive(Default)]
struct Groups {
    /// The domains of mails.
    mail: Group,
    /// The addresses of each destination.
    destinations: BTreeMap<String, Group>,
}

impl Outliers {
    /// The receiver took a delivery.
    pub(super) fn succeed(&self, delivery: &Delivery) {
        let mut groups = self.0.lock();
        if let Some(group) = groups.destinations.get_mut(&delivery.destination) {
            group.succeed(&delivery.address, MAX_OUTLIERS_PER_DOMAIN);
            if group.outliers.is_empty() {
                groups.destinations.remove(&delivery.destination);
            }
        }
        groups.answer(delivery);
    }

    /// The mail server spoke of a recipient: it is well.
    pub(super) fn answer(&self, delivery: &Delivery) {
        self.0.lock().answer(delivery);
    }

    /// Scope to hold back if the failure is not the mail server's.
    pub(super) fn fail(&self, delivery: &Delivery) -> ThrottleScope {
        self.0.lock().fail(delivery)
    }

    /// Scope to hold back if the failure may be the mail server's.
    pub(super) fn fail_at_server(&self, delivery: &Delivery) -> ThrottleScope {
        let mut groups = self.0.lock();
        let scope = groups.fail(delivery);
        let mail = &mut groups.mail;
        if scope == ThrottleScope::Address || mail.outliers.contains(&delivery.destination) {
            return scope;
        }
        mail.fail(&delivery.destination, MAX_DOMAINS);
        match mail.failing.len() < MIN_FAILING_DOMAINS {
            true => scope,
            false => ThrottleScope::Channel,
        }
    }

    /// Whether a lane's server takes connections, and nothing over them.
    pub(super) fn is_failing(&self, lane: Lane) -> bool {
        lane == Lane::Mail && self.0.lock().mail.failing.len() >= MIN_FAILING_DOMAINS
    }
}

impl Groups {
    fn answer(&mut self, delivery: &Delivery) {
        if Lane::of(delivery.channel) == Lane::Mail {
            self.mail.succeed(&delivery.destination, MAX_DOMAINS);
        }
    }

    fn fail(&mut self, delivery: &Delivery) -> ThrottleScope {
        let (known, name) = (self.destinations.len(), &delivery.destination);
        if known >= MAX_DOMAINS && !self.destinations.contains_key(name) {
            return ThrottleScope::Destination;
        }
        let group = self.destinations.entry(name.clone()).or_default();
        if group.outliers.contains(&delivery.address) {
            return ThrottleScope::Address;
        }
        group.fail(&delivery.address, MAX_OUTLIERS_PER_DOMAIN + 1);
        ThrottleScope::Destination
    }
}

#[cfg(test)]
mod tests {
    use marketlake_entities::records::deliveries::{DeliveryKind, DeliveryState};
    use marketlake_entities::records::subscriptions::ChannelKind;
    use marketlake_model::Millis;

    use super::*;

    fn to(address: &str) -> Delivery {
        Delivery {
            id: String::new(),
            message_id: None,
            destination: crate::queue::lane::destination(ChannelKind::Mail, address),
            kind: DeliveryKind::Test,
            subscription_id: None,
            channel: ChannelKind::Mail,
            address: address.to_owned(),
            content: None,
            message: None,
            state: DeliveryState::Sending,
            token: 1,
            attempts: 1,
            unknowns: 0,
            transmit_started_at: None,
            not_before: Millis(0),
            lease_until: None,
            error: None,
            created_at: Millis(0),
            finished_at: None,
        }
    }

    #[test]
    fn an_address_fails_alone_once_another_one_of_its_domain_succeeded() {
        let outliers = Outliers::default();
        let (bad, good) = (to("bad@one.example"), to("good@one.example"));
        assert_eq!(outliers.fail_at_server(&bad), ThrottleScope::Destination);
        outliers.succeed(&good);
        for _ in 0..3 {
            assert_eq!(outliers.fail_at_server(&bad), ThrottleScope::Address);
        }
        assert_eq!(outliers.fail_at_server(&good), ThrottleScope::Destination);
        outliers.succeed(&bad);
        assert_eq!(outliers.fail_at_server(&bad), ThrottleScope::Destination);
    }

    #[test]
    fn a_domain_many_of_whose_addresses_fail_is_held_back_as_one() {
        let outliers = Outliers::default();
        let bad = |number: usize| to(&format!("bad{number}@one.example"));
        for counts in 0..3 {
            for number in 0..=MAX_OUTLIERS_PER_DOMAIN {
                let scope = outliers.fail(&bad(number));
                assert_eq!(scope, ThrottleScope::Destination, "{counts}");
            }
            outliers.succeed(&to("good@one.example"));
        }
    }

    #[test]
    fn the_server_fails_where_many_domains_do_without_a_success_in_between() {
        let outliers = Outliers::default();
        let domain = |number: usize| to(&format!("reader@d{number}.example"));
        let fail = |number: usize| outliers.fail_at_server(&domain(number));
        for _ in 0..10 {
            assert_eq!(fail(0), ThrottleScope::Destination);
        }
        for number in 1..MIN_FAILING_DOMAINS - 1 {
            assert_eq!(fail(number), ThrottleScope::Destination);
        }
        assert_eq!(fail(100), ThrottleScope::Channel);
        assert!(outliers.is_failing(Lane::Mail) && !outliers.is_failing(Lane::Webhook));
        outliers.answer(&domain(200));
        // They fail while others do not: whatever they do, the server is well.
        for number in 0..MIN_FAILING_DOMAINS - 1 {
            assert_eq!(fail(number), ThrottleScope::Destination);
        }
        assert!(!outliers.is_failing(Lane::Mail));
    }
}
