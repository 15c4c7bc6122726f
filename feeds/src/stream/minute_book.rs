//! Minutes of all pairs of an exchange, built from the events of its connections.
//!
//! A minute of a pair is given out only if it is whole: the exchange's own candle of it is final,
//! or the events of the pair's sessions prove that none is missing from the minute's start to some
//! seconds after its end. All of this is by the exchange's clock, as its events tell it. A minute
//! in which a subscribed pair was not traded has its last price and a volume of 0. Nothing else is
//! filled in.

use std::collections::{HashMap, HashSet};

use marketlake_model::{Metric, Millis, Minute, PRICE, Rejected};

use super::pair::{Origin, Pair, SETTLE_TIME, Sessions, Window};
use super::pair_minute::{Trade, TradeError, amount, candle, trade_number};
use super::protocol::{Listing, StreamEvent};
use super::session::{MAX_AHEAD, Session};
use crate::batch::Batch;

/// Minutes that are held, the one under construction included.
pub(super) const HELD_MINUTES: i64 = 12;
/// Minutes back for which trades are taken in, the one under construction included.
const OPEN_MINUTES: i64 = 3;
/// Rejected events that are kept by name.
const MAX_NAMED_REJECTIONS: usize = 20;
/// Bytes of a symbol.
const MAX_SYMBOL_BYTES: usize = 64;

/// Outcome of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventOutcome {
    /// It was taken in.
    Accepted,
    /// It came before.
    Duplicate,
    /// Its minute is no longer open.
    Late,
    /// It was rejected, with a reason that is reported.
    Rejected,
}

/// The minutes.
pub(super) struct MinuteBook {
    market: &'static str,
    pairs: HashMap<String, Pair>,
    names: HashSet<Metric>,
    sessions: Sessions,
    newest: Option<Minute>,
    rejected: u64,
    first_rejected: Vec<Rejected>,
}

/// An event that belongs to a pair and a time.
struct Dated<'a> {
    session: u64,
    symbol: &'a str,
    arrival: Millis,
    time: Millis,
    minute: Minute,
}

/// Origin of an event that comes now.
fn origin(sessions: &mut Sessions, session: u64) -> Origin {
    let interruptions = sessions.entry(session).or_default().interruptions();
    Origin {
        session,
        interruptions,
    }
}

impl MinuteBook {
    pub(super) fn new(market: &'static str) -> Self {
        Self {
            market,
            pairs: HashMap::new(),
            names: HashSet::new(),
            sessions: Sessions::new(),
            newest: None,
            rejected: 0,
            first_rejected: Vec::new(),
        }
    }

    /// Adds a pair, if it is new. Returns whether it is listed: one whose name no metric can have,
    /// or another pair has, is rejected.
    pub(super) fn list(&mut self, listing: &Listing) -> bool {
        let Listing { symbol, pair } = listing;
        if self.pairs.contains_key(symbol) {
            return true;
        }
        if symbol.len() > MAX_SYMBOL_BYTES {
            let length = symbol.len();
            self.reject(
                symbol,
                &format!("symbol: expected at most {MAX_SYMBOL_BYTES} bytes, got {length}"),
            );
            return false;
        }
        let price = Metric::new(self.market, pair, PRICE).map_err(|error| error.to_string());
        let new = Pair::new(self.market, pair).and_then(|new| Ok((new, price?)));
        match new {
            Ok((_, price)) if !self.names.insert(price.clone()) => {
                self.reject(symbol, &format!("another symbol is {price}, too"));
                false
            }
            Ok((new, _)) => {
                self.pairs.insert(symbol.clone(), new);
                true
            }
            Err(reason) => {
                self.reject(symbol, &reason);
                false
            }
        }
    }

    /// Removes a pair that is no longer listed.
    pub(super) fn unlist(&mut self, symbol: &str) {
        if let Some(pair) = self.pairs.remove(symbol)
            && let Ok(price) = Metric::new(self.market, pair.name(), PRICE)
        {
            self.names.remove(&price);
        }
    }

    /// A session has a symbol subscribed.
    pub(super) fn subscribe(&mut self, session: u64, symbol: &str) {
        if let Some(pair) = self.pairs.get_mut(symbol)
            && pair.subscribe(session)
        {
            self.sessions.entry(session).or_default().subscribe(symbol);
        }
    }

    /// The exchange refuses to stream a symbol, if it names one.
    pub(super) fn refuse(&mut self, symbol: Option<&str>) {
        if let Some(pair) = symbol.and_then(|symbol| self.pairs.get_mut(symbol)) {
            pair.refuse();
        }
    }

    /// Something of a session is lost, and it is not known of which pair.
    pub(super) fn interrupt(&mut self, session: u64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.interrupt();
        }
    }

    /// A session is over.
    pub(super) fn end(&mut self, session: u64) {
        if let Some(known) = self.sessions.get_mut(&session) {
            known.end();
            if known.newest().is_none() {
                self.sessions.remove(&session);
            }
        }
    }

    /// Whether a session's own events prove what comes: the one before it is not needed.
    pub(super) fn is_proving(&self, session: u64) -> bool {
        let known = self.sessions.get(&session);
        known.is_none_or(Session::is_proving)
    }

    /// Interruptions of a session.
    pub(super) fn interruptions(&self, session: u64) -> u64 {
        self.sessions
            .get(&session)
            .map_or(0, Session::interruptions)
    }

    /// Takes an event of a session in.
    pub(super) fn take(
        &mut self,
        session: u64,
        event: &StreamEvent<'_>,
        arrival: Millis,
    ) -> EventOutcome {
        match event {
            StreamEvent::Trade {
                symbol,
                id,
                time,
                price,
                quantity,
                count,
            } => {
                let parsed = amount("price", price).and_then(|price| {
                    Ok(Trade {
                        id: trade_number(id),
                        time: *time,
                        price,
                        quantity: amount("quantity", quantity)?,
                        count: *count,
                    })
                });
                let dated = Dated {
                    session,
                    symbol,
                    arrival,
                    time: *time,
                    minute: time.minute(),
                };
                self.take_dated(&dated, parsed, Pair::take_trade)
            }
            StreamEvent::Candle {
                symbol,
                minute,
                time,
                close,
                high,
                low,
                volume,
                trades,
                closed,
            } => {
                let settled = minute.plus(1).start().plus(SETTLE_TIME);
                let is_final = *closed || *time >= settled;
                let parsed = candle(close, high, low, volume, *trades)
                    .map(|candle| (candle, *minute, *time, is_final));
                let dated = Dated {
                    session,
                    symbol,
                    arrival,
                    time: *time,
                    minute: *minute,
                };
                self.take_dated(&dated, parsed, Pair::take_candle)
            }
            StreamEvent::LastPrice { symbol, price } => {
                match self.take_quote(session, symbol, price, arrival) {
                    true => EventOutcome::Accepted,
                    false => self.rejected(symbol, "expected the price of a listed symbol"),
                }
            }
            StreamEvent::Invalid { entry, reason } => {
                self.interrupt(session);
                self.rejected(entry, reason)
            }
            _ => EventOutcome::Accepted,
        }
    }

    /// Takes a price in that the exchange quotes for a symbol.
    fn take_quote(&mut self, session: u64, symbol: &str, price: &str, arrival: Millis) -> bool {
        let (Some(pair), Ok(price)) = (self.pairs.get_mut(symbol), amount("price", price)) else {
            return false;
        };
        let origin = origin(&mut self.sessions, session);
        pair.take_quote(price, arrival, origin);
        true
    }

    fn take_dated<T>(
        &mut self,
        dated: &Dated<'_>,
        parsed: Result<T, String>,
        take: impl FnOnce(&mut Pair, T, Origin, Window) -> Result<(), TradeError>,
    ) -> EventOutcome {
        let &Dated {
            session,
            symbol,
            arrival,
            time,
            minute,
        } = dated;
        let Some(pair) = self.pairs.get_mut(symbol) else {
            return self.rejected(symbol, "the symbol is not listed");
        };
        let latest = arrival.plus(MAX_AHEAD);
        if time > latest || minute.start() > latest {
            let known = self.sessions.entry(session).or_default();
            if pair.interrupt(session, known.newest()) {
                known.subscribe(symbol);
            }
            let time = time.max(minute.start());
            let reason = format!("time: expected {latest} at the latest, got {time}");
            return self.rejected(symbol, &reason);
        }
        self.advance(session, time, arrival, minute);
        let origin = origin(&mut self.sessions, session);
        let newest = self.newest.unwrap_or(minute);
        let window = Window {
            oldest: newest.plus(1 - HELD_MINUTES),
            open_from: newest.plus(1 - OPEN_MINUTES),
        };
        let Some(pair) = self.pairs.get_mut(symbol) else {
            return EventOutcome::Rejected;
        };
        let reason = match parsed.map(|value| take(pair, value, origin, window)) {
            Ok(Ok(())) => return EventOutcome::Accepted,
            Ok(Err(TradeError::Duplicate)) => return EventOutcome::Duplicate,
            Ok(Err(TradeError::Late)) => return EventOutcome::Late,
            Ok(Err(TradeError::DoesNotFit)) => "the minute's volume does not fit".to_owned(),
            Ok(Err(TradeError::TooMany)) => "too many trades in a minute".to_owned(),
            Err(reason) => reason,
        };
        if minute >= window.oldest {
            pair.mark_incomplete(minute);
        }
        self.rejected(symbol, &reason)
    }

    /// The exchange's clock has come to a time: subscriptions begin, old minutes are forgotten.
    fn advance(&mut self, session: u64, time: Millis, arrival: Millis, minute: Minute) {
        let known = self.sessions.entry(session).or_default();
        for symbol in known.advance(time, arrival) {
            if let Some(pair) = self.pairs.get_mut(&symbol) {
                pair.begin(session, time, arrival);
            }
        }
        if self.newest.is_some_and(|newest| newest >= minute) {
            return;
        }
        self.newest = Some(minute);
        let oldest = minute.plus(1 - HELD_MINUTES);
        for pair in self.pairs.values_mut() {
            pair.forget(oldest, minute.plus(1 - OPEN_MINUTES), &self.sessions);
        }
        self.sessions
            .retain(|_, session| !session.is_forgotten(oldest.start()));
    }

    fn oldest(&self) -> Option<Minute> {
        self.newest.map(|newest| newest.plus(1 - HELD_MINUTES))
    }

    /// Symbols that a session has subscribed and whose price is not known, with their pairs.
    pub(super) fn without_price(&self, session: u64) -> Vec<(String, String)> {
        let Some(known) = self.sessions.get(&session) else {
            return Vec::new();
        };
        let pairs = self.pairs.iter();
        pairs
            .filter(|(_, pair)| pair.is_without_price(session, known.interruptions()))
            .map(|(symbol, pair)| (symbol.clone(), pair.name().to_owned()))
            .collect()
    }

    /// Whether all sessions have received what follows a minute. Without any nothing is waited for.
    pub(super) fn is_settled(&self, minute: Minute) -> bool {
        let until = minute.plus(1).start().plus(SETTLE_TIME);
        let mut sessions = self.sessions.values();
        sessions.all(|session| session.has_reached(until))
    }

    /// Samples of all pairs whose minute is whole, the number of the others, and what was rejected
    /// since the last call that gave any.
    pub(super) fn batch(&mut self, minute: Minute) -> Batch {
        let mut batch = Batch::default();
        let is_held = self.oldest().is_some_and(|oldest| minute >= oldest);
        for (symbol, pair) in self.pairs.iter().filter(|_| is_held) {
            if let Some(values) = pair.whole(minute, &self.sessions) {
                pair.offer(&mut batch, symbol, minute, &values);
            } else if pair.is_incomplete(minute, &self.sessions) {
                batch.incomplete = batch.incomplete.saturating_add(1);
            }
        }
        if batch.samples.is_empty() {
            return batch;
        }
        batch.rejected = batch
            .rejected
            .saturating_add(std::mem::take(&mut self.rejected));
        batch.first_rejected.append(&mut self.first_rejected);
        batch
    }

    /// Counts a rejected event.
    pub(super) fn reject(&mut self, entry: &str, reason: &str) {
        self.rejected = self.rejected.saturating_add(1);
        if self.first_rejected.len() < MAX_NAMED_REJECTIONS {
            self.first_rejected.push(Rejected {
                entry: entry.chars().take(100).collect(),
                reason: reason.chars().take(300).collect(),
            });
        }
    }

    fn rejected(&mut self, entry: &str, reason: &str) -> EventOutcome {
        self.reject(entry, reason);
        EventOutcome::Rejected
    }
}

#[cfg(test)]
#[path = "minute_book_tests.rs"]
mod tests;
