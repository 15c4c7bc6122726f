//! Reads an exchange's list of pairs, and divides it among connections.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use marketlake_common::backoff;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::keeper::Keeper;
use super::protocol::{Listing, Listings};
use super::shared::Shared;
use super::supervise::{RESTART_PAUSE, supervise};
use crate::error::FeedError;
use crate::poll::client::{ExchangeClient, HttpResponse, malformed};

/// Follows the list of pairs.
pub(super) struct ListingsFollower {
    pub(super) shared: Arc<Shared>,
    pub(super) client: ExchangeClient,
    pub(super) base_url: Url,
    pub(super) stop: CancellationToken,
}

/// Subscribed symbols, and the tasks that keep them so.
#[derive(Default)]
struct Parts {
    /// Symbols of each connection.
    symbols: Vec<watch::Sender<Arc<Vec<String>>>>,
    /// Symbols that the last list did not have: two lists without them unlist them.
    absent: HashSet<String>,
    keepers: JoinSet<()>,
}

impl ListingsFollower {
    /// Runs until it is stopped: reads the list, now and then again, and keeps each part of it
    /// connected.
    pub(super) async fn run(self: Arc<Self>) {
        let mut parts = Parts::default();
        let mut failures = 0;
        while !self.stop.is_cancelled() {
            let timings = self.shared.timings;
            let read = tokio::select! {
                () = self.stop.cancelled() => break,
                read = self.read() => read,
            };
            let pause = match read {
                Ok(listings) => {
                    failures = 0;
                    self.divide(&listings, &mut parts);
                    match parts.absent.is_empty() {
                        true => timings.listings_interval,
                        false => timings.listings_interval.min(timings.retry_interval),
                    }
                }
                Err(error) => {
                    failures += 1;
                    self.pause_after(&error, failures)
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => (),
                () = sleep(pause) => (),
            }
        }
        while parts.keepers.join_next().await.is_some() {}
    }

    fn pause_after(&self, error: &FeedError, failures: u32) -> Duration {
        let timings = self.shared.timings;
        let chance = rand::random();
        let own = backoff(
            timings.initial_backoff,
            timings.max_backoff,
            failures,
            chance,
        );
        let pause = error.pause().map_or(own, |pause| pause.max(own));
        let text = error.to_string();
        tracing::warn!(
            feed = self.shared.name(),
            error = text,
            retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "cannot read the list of pairs"
        );
        self.shared.fail(&text);
        pause
    }

    async fn read(&self) -> Result<Vec<Listing>, FeedError> {
        let path = self.shared.protocol.listings_path();
        let base = self.base_url.as_str().trim_end_matches('/');
        let url = format!("{base}{path}");
        let parse = |answer: &HttpResponse| {
            let parsed = self.shared.protocol.parse_listings(&answer.body);
            parsed.map_err(|reason| malformed(&url, reason))
        };
        let Listings {
            tradable,
            rejected_count,
            rejected,
        } = self.client.get(&url, parse).await?;
        if rejected_count > 0 {
            let first = rejected.first();
            tracing::warn!(
                feed = self.shared.name(),
                rejected = rejected_count,
                first = first.map(|first| format!("{}: {}", first.entry, first.reason)),
                "entries of the list of pairs are rejected"
            );
        }
        if tradable.is_empty() {
            return Err(FeedError::Empty {
                url,
                rejected: rejected_count,
                first: rejected.first().map(|first| first.reason.clone()),
            });
        }
        Ok(tradable)
    }

    /// Takes a list over: symbols that are gone twice leave their part, new ones fill parts up and
    /// open new ones. A part whose symbols change replaces its connection.
    fn divide(&self, listings: &[Listing], parts: &mut Parts) {
        let mut book = self.shared.book.lock();
        let mut listed = HashSet::new();
        let mut ordered: Vec<&str> = Vec::new();
        for listing in listings.iter().filter(|listing| book.list(listing)) {
            if listed.insert(listing.symbol.as_str()) {
                ordered.push(&listing.symbol);
            }
        }
        let mut absent = HashSet::new();
        let mut kept: Vec<Vec<String>> = Vec::with_capacity(parts.symbols.len());
        for part in &parts.symbols {
            let mut here = Vec::new();
            for symbol in part.borrow().iter() {
                if listed.remove(symbol.as_str()) {
                    here.push(symbol.clone());
                } else if parts.absent.contains(symbol) {
                    book.unlist(symbol);
                } else {
                    absent.insert(symbol.clone());
                    here.push(symbol.clone());
                }
            }
            kept.push(here);
        }
        drop(book);
        parts.absent = absent;
        let new = ordered.into_iter().filter(|symbol| listed.contains(symbol));
        let max = self.shared.limits().max_symbols.max(1);
        fill(&mut kept, new.map(str::to_owned).collect(), max);
        self.apply(kept, parts);
    }

    fn apply(&self, kept: Vec<Vec<String>>, parts: &mut Parts) {
        for (index, symbols) in kept.into_iter().enumerate() {
            if let Some(part) = parts.symbols.get(index) {
                part.send_if_modified(|current| {
                    let is_changed = **current != symbols;
                    if is_changed {
                        *current = Arc::new(symbols);
                    }
                    is_changed
                });
                continue;
            }
            let (sender, symbols) = watch::channel(Arc::new(symbols));
            let keeper = Arc::new(Keeper {
                shared: Arc::clone(&self.shared),
                symbols,
                stop: self.stop.child_token(),
            });
            let run = move || Arc::clone(&keeper).run();
            let (name, stop) = (self.shared.name(), self.stop.clone());
            parts
                .keepers
                .spawn(supervise(name, stop, RESTART_PAUSE, run));
            parts.symbols.push(sender);
        }
    }
}

/// Puts new symbols into parts with room, and the rest evenly into further parts: a part of a few
/// symbols would often have nothing to say.
fn fill(parts: &mut Vec<Vec<String>>, new: Vec<String>, max: usize) {
    let mut new = new.into_iter();
    for part in parts.iter_mut() {
        let room = max.saturating_sub(part.len());
        part.extend(new.by_ref().take(room));
    }
    let rest: Vec<String> = new.collect();
    let size = rest.len().div_ceil(rest.len().div_ceil(max).max(1)).max(1);
    parts.extend(rest.chunks(size).map(<[String]>::to_vec));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(parts: &[Vec<String>]) -> Vec<usize> {
        parts.iter().map(Vec::len).collect()
    }

    fn symbols(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("S{number}")).collect()
    }

    #[test]
    fn symbols_are_divided_evenly_and_fill_parts_that_have_room() {
        for (count, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (300, vec![300]),
            (305, vec![153, 152]),
            (901, vec![226, 226, 226, 223]),
        ] {
            let mut parts = Vec::new();
            fill(&mut parts, symbols(count), 300);
            assert_eq!(sizes(&parts), expected, "{count}");
        }
        let mut parts = vec![symbols(299), symbols(300)];
        fill(&mut parts, symbols(5), 300);
        assert_eq!(sizes(&parts), [300, 300, 4]);
    }
}
