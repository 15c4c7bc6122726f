//! Admission of connections: a maximum in all and per address. At a maximum the oldest connections
//! that wait for a request are closed, so that idle ones lock no client out; where all are busy,
//! the new one is closed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::activity::Activity;
use super::limits::ConnectionLimits;

/// Connections that are closed at once at the maximum, and that may be above it until they are.
const MIN_EVICTED: usize = 8;
const MAX_EVICTED: usize = 64;
/// Time for which no victim is looked for after none was found.
const SEARCH_INTERVAL: Duration = Duration::from_millis(50);
/// Bytes of bodies that are being read, in all, beyond the first of each.
const MAX_BUFFERED_BYTES: usize = 64 << 20;

/// The open connections of all listeners that share their limits.
pub(crate) struct Connections {
    limits: ConnectionLimits,
    open: Mutex<Open>,
    /// One permit a KiB of bodies that are being read.
    pub(super) buffers: Arc<Semaphore>,
}

#[derive(Default)]
struct Open {
    next: u64,
    /// By age.
    all: BTreeMap<u64, Entry>,
    by_address: HashMap<IpAddr, BTreeSet<u64>>,
    /// No victim was found shortly before.
    no_victim_until: Option<Instant>,
}

struct Entry {
    address: IpAddr,
    activity: Arc<Activity>,
}

/// The place that a connection takes up until it is dropped.
pub(super) struct Slot {
    number: u64,
    activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            open: Mutex::default(),
            buffers: Arc::new(Semaphore::new(MAX_BUFFERED_BYTES >> 10)),
        })
    }

    pub(super) fn limits(&self) -> &ConnectionLimits {
        &self.limits
    }

    pub(super) fn len(&self) -> usize {
        self.open.lock().all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A place for a new connection, if there is one or one can be made.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let now = Instant::now();
        let address = prefix(peer);
        let mut open = self.open.lock();
        if let Some(max) = self.limits.max_connections_per_ip
            && !open.has_room_for(address, max, now)
        {
            drop(open);
            return refused("max_connections_per_ip");
        }
        if !open.has_room(self.limits.max_connections, now) {
            drop(open);
            return refused("max_connections");
        }
        let number = open.next;
        open.next += 1;
        let activity = Arc::new(Activity::new(now));
        open.by_address.entry(address).or_default().insert(number);
        open.all.insert(
            number,
            Entry {
                address,
                activity: Arc::clone(&activity),
            },
        );
        drop(open);
        gauge!("marketlake_http_connections").increment(1);
        Some(Slot {
            number,
            activity,
            connections: Arc::clone(self),
        })
    }

    /// Closes the oldest connections that wait for a request. Returns how many.
    pub(super) fn evict_idle(&self, max: usize) -> usize {
        let open = self.open.lock();
        evict(open.all.values(), max, Instant::now()).0
    }
}

fn refused(limit: &'static str) -> Option<Slot> {
    counter!("marketlake_http_connections_refused_total", "limit" => limit).increment(1);
    None
}

impl Open {
    /// Whether there is room for one more, if need be after connections were closed.
    fn has_room(&mut self, max: usize, now: Instant) -> bool {
        if self.all.len() < max {
            return true;
        }
        let batch = (max / 64).clamp(MIN_EVICTED, MAX_EVICTED);
        if self.all.len() >= max + batch || self.no_victim_until.is_some_and(|until| now < until) {
            return false;
        }
        let (evicted, leaving) = evict(self.all.values(), batch, now);
        if evicted == 0 && self.all.len() - leaving >= max {
            self.no_victim_until = Some(now + SEARCH_INTERVAL);
            return false;
        }
        true
    }

    /// The same among the connections of an address.
    fn has_room_for(&self, address: IpAddr, max: usize, now: Instant) -> bool {
        let Some(own) = self.by_address.get(&address) else {
            return true;
        };
        if own.len() < max {
            return true;
        }
        // The connection that was requested to close may not have closed yet.
        if own.len() > max {
            return false;
        }
        let own = own.iter().filter_map(|number| self.all.get(number));
        let (evicted, leaving) = evict(own, 1, now);
        evicted + leaving > 0
    }
}

/// Signals the first connections that wait for a request to close. Returns how many, and how many
/// were signalled before.
fn evict<'a>(entries: impl Iterator<Item = &'a Entry>, max: usize, now: Instant) -> (usize, usize) {
    let (mut evicted, mut leaving) = (0, 0);
    for entry in entries {
        if entry.activity.is_evicted() {
            leaving += 1;
        } else if entry.activity.evict(now) {
            evicted += 1;
            if evicted >= max {
                break;
            }
        }
    }
    (evicted, leaving)
}

impl Slot {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock();
        if let Some(entry) = open.all.remove(&self.number)
            && let Some(own) = open.by_address.get_mut(&entry.address)
        {
            own.remove(&self.number);
            if own.is_empty() {
                open.by_address.remove(&entry.address);
            }
        }
        drop(open);
        gauge!("marketlake_http_connections").decrement(1);
    }
}

/// The address by which connections are counted: an IPv6 one by its /64, which one host may have.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let s = address.segments();
            Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0).into()
        }
    }
}
